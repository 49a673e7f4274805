-- Regions for key pairs; networks, security groups, public addresses, kept disks; all that can be set on a machine.

ALTER TABLE zones ADD COLUMN pool TEXT NOT NULL DEFAULT '';  -- blocks of public addresses, blank-separated
ALTER TABLE images ADD COLUMN least_memory_mib INTEGER NOT NULL DEFAULT 0;
ALTER TABLE images ADD COLUMN least_disk_gib INTEGER NOT NULL DEFAULT 0;

CREATE TABLE networks (
    id         INTEGER PRIMARY KEY,
    account_id INTEGER NOT NULL REFERENCES accounts (id) DEFERRABLE INITIALLY DEFERRED,
    region_id  INTEGER NOT NULL REFERENCES regions (id) DEFERRABLE INITIALLY DEFERRED,
    block      TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    UNIQUE (account_id, region_id)
) STRICT;

CREATE TABLE subnets (
    id         INTEGER PRIMARY KEY,
    account_id INTEGER NOT NULL,
    network_id INTEGER NOT NULL REFERENCES networks (id) DEFERRABLE INITIALLY DEFERRED,
    zone_id    INTEGER NOT NULL REFERENCES zones (id) DEFERRABLE INITIALLY DEFERRED,
    block      TEXT NOT NULL,
    UNIQUE (account_id, zone_id)
) STRICT;

CREATE TABLE security_groups (
    id          INTEGER PRIMARY KEY,
    account_id  INTEGER NOT NULL,
    network_id  INTEGER NOT NULL REFERENCES networks (id) DEFERRABLE INITIALLY DEFERRED,
    name        TEXT NOT NULL,
    description TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    rules       TEXT NOT NULL,  -- JSON array
    UNIQUE (network_id, name)
) STRICT;

CREATE TABLE addresses (
    id                INTEGER PRIMARY KEY,
    account_id        INTEGER NOT NULL REFERENCES accounts (id) DEFERRABLE INITIALLY DEFERRED,
    zone_id           INTEGER NOT NULL REFERENCES zones (id) DEFERRABLE INITIALLY DEFERRED,
    address           TEXT NOT NULL UNIQUE,
    created_at        INTEGER NOT NULL,
    instance_id       INTEGER,
    association_id    INTEGER,
    goes_with_machine INTEGER NOT NULL
) STRICT;

CREATE TABLE kept_disks (
    id          INTEGER PRIMARY KEY,  -- of the machine that it was of
    account_id  INTEGER NOT NULL REFERENCES accounts (id) DEFERRABLE INITIALLY DEFERRED,
    zone_id     INTEGER NOT NULL,
    image_id    INTEGER NOT NULL,
    size_gib    INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    is_unwanted INTEGER NOT NULL
) STRICT;

CREATE TABLE instance_materials (
    instance_id INTEGER PRIMARY KEY REFERENCES instances (id) DEFERRABLE INITIALLY DEFERRED,
    user_data   BLOB NOT NULL,
    password    BLOB NOT NULL  -- sealed
) STRICT;

ALTER TABLE instances ADD COLUMN group_ids TEXT NOT NULL DEFAULT '';  -- blank-separated
ALTER TABLE instances ADD COLUMN options TEXT NOT NULL DEFAULT '';    -- JSON object; empty for the standard ones
ALTER TABLE instances ADD COLUMN version INTEGER NOT NULL DEFAULT 0;
ALTER TABLE instances ADD COLUMN applied INTEGER NOT NULL DEFAULT 0;
ALTER TABLE instances ADD COLUMN generation INTEGER NOT NULL DEFAULT 0;
ALTER TABLE instances ADD COLUMN built INTEGER NOT NULL DEFAULT 0;
ALTER TABLE instances ADD COLUMN term_hours INTEGER NOT NULL DEFAULT 1;
ALTER TABLE instances ADD COLUMN earlier_hours INTEGER NOT NULL DEFAULT 0;
ALTER TABLE instances ADD COLUMN earlier_cost TEXT NOT NULL DEFAULT '0';
ALTER TABLE instances ADD COLUMN has_user_data INTEGER NOT NULL DEFAULT 0;
ALTER TABLE instances ADD COLUMN has_password INTEGER NOT NULL DEFAULT 0;

-- Two living machines never share a private address; those from before drivers were told theirs have whatever theirs said.
CREATE UNIQUE INDEX instances_by_private_address ON instances (private_address)
    WHERE terminated_at IS NULL AND private_address <> '';

-- A key pair was the account's everywhere: it becomes one of the first region, and a copy of it in each other one.
CREATE TABLE regional_key_pairs (
    id          INTEGER PRIMARY KEY,
    account_id  INTEGER NOT NULL REFERENCES accounts (id) DEFERRABLE INITIALLY DEFERRED,
    region_id   INTEGER NOT NULL REFERENCES regions (id) DEFERRABLE INITIALLY DEFERRED,
    name        TEXT NOT NULL,
    kind        TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    public_key  TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    UNIQUE (account_id, region_id, name)
) STRICT;

-- Without any region they are kept in one that is out of use, for whoever may need them.
INSERT INTO regions (id, name, geo, is_retired)
    SELECT 1, 'unconfigured', 'united-states', 1
    WHERE EXISTS (SELECT 1 FROM key_pairs) AND NOT EXISTS (SELECT 1 FROM regions);
INSERT OR REPLACE INTO sequences (name, value) SELECT 'Region', 1 FROM regions WHERE name = 'unconfigured';

CREATE TEMP TABLE copies AS
    SELECT pair.id AS old_id, region.id AS region_id,
        CASE WHEN region.id = (SELECT min(id) FROM regions) THEN pair.id
        ELSE (SELECT coalesce(max(value), 0) FROM sequences WHERE name = 'KeyPair')
            + row_number() OVER (PARTITION BY region.id = (SELECT min(id) FROM regions) ORDER BY region.id, pair.id)
        END AS new_id
    FROM key_pairs AS pair CROSS JOIN regions AS region;

INSERT INTO regional_key_pairs
    SELECT new_id, account_id, copies.region_id, name, kind, fingerprint, public_key, created_at
    FROM copies JOIN key_pairs ON key_pairs.id = old_id;

INSERT OR IGNORE INTO tags
    SELECT account_id, kind, new_id, key, value
    FROM copies JOIN tags ON kind = 'key-pair' AND resource_id = old_id WHERE new_id <> old_id;

UPDATE sequences SET value = max(value, (SELECT max(id) FROM regional_key_pairs))
    WHERE name = 'KeyPair' AND EXISTS (SELECT 1 FROM regional_key_pairs);

DROP TABLE copies;
DROP TABLE key_pairs;
ALTER TABLE regional_key_pairs RENAME TO key_pairs;
