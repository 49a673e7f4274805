-- People who sign in; what they and API keys did; what became of machines; what accounts may spend.

-- Whoever has a key has asked for API access.
ALTER TABLE accounts ADD COLUMN has_api INTEGER NOT NULL DEFAULT 0;
UPDATE accounts SET has_api = 1
    WHERE id IN (SELECT account_id FROM applications JOIN api_keys ON application_id = applications.id);
ALTER TABLE accounts ADD COLUMN is_suspended INTEGER NOT NULL DEFAULT 0;
ALTER TABLE accounts ADD COLUMN spending_limit TEXT;
ALTER TABLE accounts ADD COLUMN spending_warning TEXT;
ALTER TABLE accounts ADD COLUMN credit_limit TEXT;

-- What the console books belongs to an application of this name, which has no keys.
UPDATE applications SET name = name || ' ' || id WHERE name = 'console';

CREATE TABLE key_uses (
    id       INTEGER PRIMARY KEY REFERENCES api_keys (id) DEFERRABLE INITIALLY DEFERRED,
    at       INTEGER NOT NULL,
    address  TEXT NOT NULL,
    protocol TEXT NOT NULL
) STRICT;

CREATE TABLE users (
    id            INTEGER PRIMARY KEY,
    account_id    INTEGER NOT NULL REFERENCES accounts (id) DEFERRABLE INITIALLY DEFERRED,
    email         TEXT NOT NULL UNIQUE,
    password_hash TEXT NOT NULL,  -- argon2id, PHC string
    created_at    INTEGER NOT NULL,
    is_operator   INTEGER NOT NULL,
    is_enabled    INTEGER NOT NULL,
    must_change   INTEGER NOT NULL,
    code_secret   BLOB NOT NULL,  -- sealed
    code_step     INTEGER NOT NULL,
    recovery      TEXT NOT NULL   -- SHA-256 digests, blank-separated
) STRICT;

CREATE TABLE sign_ins (
    id          INTEGER PRIMARY KEY,
    user_id     INTEGER NOT NULL REFERENCES users (id) DEFERRABLE INITIALLY DEFERRED,
    digest      TEXT NOT NULL UNIQUE,  -- SHA-256 of the browser's token
    address     TEXT NOT NULL,
    agent       TEXT NOT NULL,
    began_at    INTEGER NOT NULL,
    seen_at     INTEGER NOT NULL,
    ends_at     INTEGER NOT NULL,
    awaits_code INTEGER NOT NULL,
    acting_for  INTEGER REFERENCES accounts (id) DEFERRABLE INITIALLY DEFERRED
) STRICT;

CREATE TABLE audit (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    at         INTEGER NOT NULL,
    account_id INTEGER,
    actor      TEXT NOT NULL,
    address    TEXT NOT NULL,
    protocol   TEXT NOT NULL,
    request_id TEXT NOT NULL,
    operator   TEXT NOT NULL,
    verb       TEXT NOT NULL,
    subject    TEXT NOT NULL,
    detail     TEXT NOT NULL
) STRICT;

CREATE INDEX audit_by_account ON audit (account_id, id);
CREATE INDEX audit_by_time ON audit (at);

CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit log is only ever added to'); END;
CREATE TRIGGER audit_is_never_rewritten BEFORE INSERT ON audit WHEN EXISTS (SELECT 1 FROM audit WHERE id = NEW.id)
    BEGIN SELECT RAISE(ABORT, 'the audit log is only ever added to'); END;
CREATE TRIGGER audit_is_never_shortened BEFORE DELETE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit log is only ever added to'); END;

CREATE TABLE events (
    id          INTEGER PRIMARY KEY,
    instance_id INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    text        TEXT NOT NULL,
    reason      TEXT NOT NULL,
    actor       TEXT NOT NULL
) STRICT;

CREATE INDEX events_by_instance ON events (instance_id, id);

-- What was charged before a machine's price changed: one pair of hours and cost for each change, as a JSON array.
ALTER TABLE instances ADD COLUMN checkpoints TEXT NOT NULL DEFAULT '';
UPDATE instances SET checkpoints = json_array(json_array(earlier_hours, earlier_cost)) WHERE earlier_hours > 0;
ALTER TABLE instances DROP COLUMN earlier_hours;
ALTER TABLE instances DROP COLUMN earlier_cost;
