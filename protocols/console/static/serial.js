// The terminal of a machine's serial console: bytes to and from a socket that a single-use ticket opens.
(() => {
  "use strict";

  const place = document.getElementById("serial");
  const state = document.getElementById("serial-state");
  if (!place || !window.Terminal) return;

  const terminal = new Terminal({ convertEol: false, cursorBlink: true, scrollback: 5000, screenReaderMode: true, fontSize: 14 });
  const fit = new FitAddon.FitAddon();
  terminal.loadAddon(fit);
  terminal.open(place);
  fit.fit();
  addEventListener("resize", () => fit.fit());

  const { socket: path, ticket } = place.dataset;
  const url = new URL(path, location.href);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  url.search = new URLSearchParams({ ticket }).toString();
  history.replaceState(null, "", location.pathname);  // it is used up: a reload would only be told so

  const socket = new WebSocket(url);
  socket.binaryType = "arraybuffer";
  state.textContent = "Connecting…";
  const send = (bytes) => { if (socket.readyState === WebSocket.OPEN) socket.send(bytes); };

  socket.addEventListener("open", () => { state.textContent = "Connected."; terminal.focus(); });
  socket.addEventListener("message", (event) => terminal.write(new Uint8Array(event.data)));
  socket.addEventListener("close", (event) => { state.textContent = event.reason || "The connection has ended."; terminal.options.disableStdin = true; });

  const encoder = new TextEncoder();
  terminal.onData((text) => {
    const bytes = encoder.encode(text);
    for (let start = 0; start < bytes.length; start += 32768) send(bytes.slice(start, start + 32768));
  });
  terminal.onBinary((text) => send(Uint8Array.from(text, (character) => character.charCodeAt(0))));
  terminal.attachCustomKeyEventHandler((event) => {
    if (!(event.ctrlKey && event.shiftKey && event.key === "Escape")) return true;
    terminal.blur();
    document.querySelector("main .buttons button")?.focus();
    return false;
  });
})();
