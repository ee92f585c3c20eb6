BEGIN;

CREATE SCHEMA IF NOT EXISTS "main";

DELETE FROM "main"."orders";

DELETE FROM "main"."orders__items";

DELETE FROM "main"."orders__items__opts";

INSERT INTO "main"."orders" ("id", "_hr_id", "_hr_load_id")
SELECT CAST("c0" AS BIGINT), i + 137438953472, 2
FROM (SELECT * FROM read_json(['PACKAGE/0-0.jsonl'], format = 'newline_delimited', maximum_object_size = 16777216, columns = {"i": 'BIGINT', "c0": 'BIGINT'})) x;

COMMIT;
