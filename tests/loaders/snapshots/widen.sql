BEGIN;

CREATE SCHEMA IF NOT EXISTS "main";

ALTER TABLE "main"."orders" ALTER COLUMN "n" TYPE DOUBLE;

ALTER TABLE "main"."orders" ALTER COLUMN "m" TYPE BLOB USING CAST(NULL AS BLOB);

INSERT INTO "main"."orders" ("n", "m", "_hr_id", "_hr_load_id")
SELECT CAST("c0" AS DOUBLE), CAST(from_base64("c1") AS BLOB), i + 137438953472, 2
FROM (SELECT * FROM read_json(['PACKAGE/0-0.jsonl'], format = 'newline_delimited', maximum_object_size = 16777216, columns = {"i": 'BIGINT', "c0": 'DOUBLE', "c1": 'VARCHAR'})) x;

COMMIT;
