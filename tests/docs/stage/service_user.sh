# The gateway will run as its service's user, as an installed one does, beside its socket. Python may lie in root's home.
chmod a+x /root
useradd --system --no-create-home onefleet
install -d -o onefleet -g onefleet -m 700 /var/lib/onefleet /var/backups/onefleet
sed -i -e 's/setsid onefleet/setsid runuser -u onefleet -- onefleet/' -e '/^\[ "${2-}" = onefleet/d' /usr/local/bin/systemctl
