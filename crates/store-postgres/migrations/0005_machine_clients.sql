ALTER TABLE machine_client ADD COLUMN old_digest BYTEA;
ALTER TABLE machine_client ADD COLUMN old_until_us BIGINT;
