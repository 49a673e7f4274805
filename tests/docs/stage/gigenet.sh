# The gateway's EC2 endpoint speaks GigeNET's dialect.
sed -i 's,^#dialect = .*,dialect = "gigenet",' /etc/onefleet/config.toml
