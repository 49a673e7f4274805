-- Products whose machines have no metadata service.

ALTER TABLE products ADD COLUMN has_metadata INTEGER NOT NULL DEFAULT 1;
