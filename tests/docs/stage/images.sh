# An operator in a folder with somebody's disk image, and a distribution's server that has another.
mkdir /srv/cloud.example
(
    cd /srv/cloud.example
    qemu-img create -q -f qcow2 noble-server-cloudimg-amd64.img 8M
    sha256sum noble-server-cloudimg-amd64.img >SHA256SUMS
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=cloud.example \
        -addext subjectAltName=DNS:cloud.example -keyout /run/cloud.key -out /run/cloud.pem 2>/dev/null
    setsid python3 - <<'PYTHON' &>/dev/null &
import http.server, ssl

server = http.server.HTTPServer(("127.0.0.1", 443), http.server.SimpleHTTPRequestHandler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/run/cloud.pem", "/run/cloud.key")
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
PYTHON
)
echo '127.0.0.1 cloud.example' >>/etc/hosts
export SSL_CERT_FILE=/run/cloud.pem
until curl -o /dev/null https://cloud.example/ 2>/dev/null; do sleep 0.05; done

cd /etc/onefleet
qemu-img create -q -f vmdk appliance.vmdk 8M
xz appliance.vmdk
