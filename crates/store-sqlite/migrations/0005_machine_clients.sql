ALTER TABLE machine_client ADD COLUMN old_digest BLOB;
ALTER TABLE machine_client ADD COLUMN old_until_us INTEGER;
