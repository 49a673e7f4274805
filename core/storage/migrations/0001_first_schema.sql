-- Times are unix microseconds, UTC. Money is decimal text. Sealed columns are encrypted with the key file.

CREATE TABLE sequences (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL  -- the last id given out
) STRICT, WITHOUT ROWID;

CREATE TABLE seals (
    name   TEXT PRIMARY KEY,
    sealed BLOB NOT NULL  -- opens only with the key file that this database was made with
) STRICT, WITHOUT ROWID;

CREATE TABLE accounts (
    id         INTEGER PRIMARY KEY,
    name       TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE applications (
    id         INTEGER PRIMARY KEY,
    account_id INTEGER NOT NULL REFERENCES accounts (id) DEFERRABLE INITIALLY DEFERRED,
    name       TEXT NOT NULL,
    networks   TEXT NOT NULL,  -- CIDRs, blank-separated; empty means any address
    is_enabled INTEGER NOT NULL,
    UNIQUE (account_id, name)
) STRICT;

CREATE TABLE api_keys (
    id             INTEGER PRIMARY KEY,
    application_id INTEGER NOT NULL REFERENCES applications (id) DEFERRABLE INITIALLY DEFERRED,
    access_key     TEXT NOT NULL UNIQUE,
    secret_key     BLOB NOT NULL,  -- sealed
    created_at     INTEGER NOT NULL,
    is_enabled     INTEGER NOT NULL
) STRICT;

CREATE TABLE regions (
    id         INTEGER PRIMARY KEY,
    name       TEXT NOT NULL UNIQUE,
    geo        TEXT NOT NULL,
    is_retired INTEGER NOT NULL
) STRICT;

CREATE TABLE zones (
    id           INTEGER PRIMARY KEY,
    name         TEXT NOT NULL UNIQUE,
    region_id    INTEGER NOT NULL REFERENCES regions (id) DEFERRABLE INITIALLY DEFERRED,
    is_available INTEGER NOT NULL,
    is_retired   INTEGER NOT NULL
) STRICT;

CREATE TABLE images (
    id           INTEGER PRIMARY KEY,
    name         TEXT NOT NULL UNIQUE,
    title        TEXT NOT NULL,
    description  TEXT NOT NULL,
    architecture TEXT NOT NULL,
    platform     TEXT NOT NULL,
    default_user TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    is_retired   INTEGER NOT NULL
) STRICT;

CREATE TABLE products (
    id            INTEGER PRIMARY KEY,
    slug          TEXT NOT NULL UNIQUE,
    title         TEXT NOT NULL,
    description   TEXT NOT NULL,
    instance_type TEXT NOT NULL,
    hourly_price  TEXT NOT NULL,
    currency      TEXT NOT NULL,
    attributes    TEXT NOT NULL,  -- JSON object
    geo           TEXT NOT NULL,
    vcpus         INTEGER NOT NULL,
    memory_mib    INTEGER NOT NULL,
    disk_gib      INTEGER NOT NULL,
    gpu           TEXT,           -- JSON object
    architecture  TEXT NOT NULL,
    image_id      INTEGER NOT NULL REFERENCES images (id) DEFERRABLE INITIALLY DEFERRED,
    capacity      TEXT NOT NULL,  -- JSON object: zone id to machines
    is_retired    INTEGER NOT NULL
) STRICT;

CREATE TABLE key_pairs (
    id          INTEGER PRIMARY KEY,
    account_id  INTEGER NOT NULL REFERENCES accounts (id) DEFERRABLE INITIALLY DEFERRED,
    name        TEXT NOT NULL,
    kind        TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    public_key  TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    UNIQUE (account_id, name)
) STRICT;

CREATE TABLE orders (
    id             INTEGER PRIMARY KEY,
    account_id     INTEGER NOT NULL REFERENCES accounts (id) DEFERRABLE INITIALLY DEFERRED,
    application_id INTEGER NOT NULL REFERENCES applications (id) DEFERRABLE INITIALLY DEFERRED,
    protocol       TEXT NOT NULL,
    order_key      TEXT NOT NULL UNIQUE,
    product_id     INTEGER NOT NULL REFERENCES products (id) DEFERRABLE INITIALLY DEFERRED,
    zone_id        INTEGER NOT NULL REFERENCES zones (id) DEFERRABLE INITIALLY DEFERRED,
    image_id       INTEGER NOT NULL REFERENCES images (id) DEFERRABLE INITIALLY DEFERRED,
    hourly_price   TEXT NOT NULL,
    currency       TEXT NOT NULL,
    created_at     INTEGER NOT NULL,
    key_name       TEXT NOT NULL,
    public_key     TEXT NOT NULL,
    has_own_key    INTEGER NOT NULL,
    has_user_data  INTEGER NOT NULL,
    file_url       TEXT NOT NULL,
    script_url     TEXT NOT NULL,
    client_token   TEXT NOT NULL,
    request_digest TEXT NOT NULL,
    closed_at      INTEGER  -- when the last machine was gone
) STRICT;

CREATE INDEX orders_by_account ON orders (account_id, id);
CREATE INDEX orders_by_closing ON orders (closed_at);

CREATE TABLE order_materials (
    order_id    INTEGER PRIMARY KEY REFERENCES orders (id) DEFERRABLE INITIALLY DEFERRED,
    user_data   BLOB NOT NULL,
    private_key BLOB NOT NULL  -- sealed
) STRICT;

CREATE TABLE instances (
    id                 INTEGER PRIMARY KEY,
    order_id           INTEGER NOT NULL REFERENCES orders (id) DEFERRABLE INITIALLY DEFERRED,
    account_id         INTEGER NOT NULL,
    product_id         INTEGER NOT NULL,
    zone_id            INTEGER NOT NULL,
    image_id           INTEGER NOT NULL,
    launch_index       INTEGER NOT NULL,
    hourly_price       TEXT NOT NULL,
    ssh_port           INTEGER NOT NULL,
    shutdown_behaviour TEXT NOT NULL,
    launched_at        INTEGER NOT NULL,
    wanted             TEXT NOT NULL,
    observed           TEXT,
    is_forced          INTEGER NOT NULL,
    needs_reboot       INTEGER NOT NULL,
    has_failed         INTEGER NOT NULL,
    cause              TEXT,
    detail             TEXT NOT NULL,
    changed_at         INTEGER,
    ended_at           INTEGER,
    terminated_at      INTEGER,
    private_address    TEXT NOT NULL,
    public_address     TEXT NOT NULL
) STRICT;

CREATE INDEX instances_by_order ON instances (order_id);

-- Two living machines never share a port, whatever the program believes.
CREATE UNIQUE INDEX instances_by_port ON instances (ssh_port) WHERE terminated_at IS NULL;

CREATE TABLE tags (
    account_id  INTEGER NOT NULL,
    kind        TEXT NOT NULL,
    resource_id INTEGER NOT NULL,
    key         TEXT NOT NULL,
    value       TEXT NOT NULL,
    PRIMARY KEY (account_id, kind, resource_id, key)
) STRICT, WITHOUT ROWID;
