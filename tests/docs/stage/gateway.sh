# A gateway that is installed as a service, and not started: its configuration in /etc/onefleet, its data in
# /var/lib/onefleet.
mkdir /etc/onefleet
sed -e 's,^data_dir = .*,data_dir = "/var/lib/onefleet",' -e 's,^#boot_seconds = .*,boot_seconds = 0.1,' \
    -e 's,^#stop_seconds = 1$,stop_seconds = 0.1,' "$REPOSITORY/config.toml" >/etc/onefleet/config.toml

# There is no systemd here: these two stand in for it as far as pages start, stop and look at the service.
cat >/usr/local/bin/systemctl <<'COMMAND'
#!/bin/bash
set -eu
[ "${2-}" = onefleet ] || { echo "on this stage there is only: systemctl start|stop|restart|reload onefleet" >&2; exit 1; }
touch /run/onefleet.pid
case $1 in
start)
    cd /
    setsid onefleet serve --config /etc/onefleet/config.toml </dev/null &>>/var/log/onefleet.log &
    echo $! >/run/onefleet.pid
    until curl -o /dev/null http://127.0.0.1:8080/readyz 2>/dev/null; do
        kill -0 $! 2>/dev/null || { tail /var/log/onefleet.log; exit 1; }
        sleep 0.05
    done ;;
stop)
    kill "$(</run/onefleet.pid)" 2>/dev/null || exit 0
    while kill -0 "$(</run/onefleet.pid)" 2>/dev/null; do sleep 0.05; done ;;
restart) "$0" stop onefleet; "$0" start onefleet ;;
reload) kill -HUP "$(</run/onefleet.pid)" ;;
esac
COMMAND
printf '#!/bin/sh\ncat /var/log/onefleet.log\n' >/usr/local/bin/journalctl
chmod +x /usr/local/bin/systemctl /usr/local/bin/journalctl
