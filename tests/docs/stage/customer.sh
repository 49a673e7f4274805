# A customer of a gateway that runs elsewhere, with a key pair from its operator.
systemctl start onefleet
(
    export ONEFLEET_CONFIG=/etc/onefleet/config.toml
    account=$(onefleet account add "Example Ltd" --json | jq -r .account_id)
    onefleet key add --account "$account" --application shop
)
