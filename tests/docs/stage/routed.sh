# Real machines are on wires that the host routes.
sed -i 's,^#network = .*,network = "routed",' /etc/onefleet/config.toml
