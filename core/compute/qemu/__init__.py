"""Real machines: virtual machines of this host, each a process of QEMU in a folder of its own."""
