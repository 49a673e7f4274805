# An operator at the gateway's configuration; three machines are rented, or as many as $MACHINES says, and run.
cd /etc/onefleet
systemctl start onefleet
onefleet key add --account 100000000001 --json | jq -r '"\(.access_key):\(.secret_key)"' >/run/pair
(
    pair=$(</run/pair) orders=http://127.0.0.1:8080/wp-json/api/v1/orders
    curl -o /dev/null -u "$pair" -X PUT "$orders?product_id=4&instances=${MACHINES:-3}"
    until curl -u "$pair" $orders | jq -e '.[0].order_status == "unlimited"' >/dev/null; do sleep 0.05; done
)
