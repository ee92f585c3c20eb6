BEGIN;

CREATE SCHEMA IF NOT EXISTS "main";

ALTER TABLE "main"."orders" ADD COLUMN "n__v_text" VARCHAR;

INSERT INTO "main"."orders" ("n", "n__v_text", "_hr_id", "_hr_load_id")
SELECT CAST("c1" AS BIGINT), CAST("c0" AS VARCHAR), i + 137438953472, 2
FROM (SELECT * FROM read_json(['PACKAGE/0-0.jsonl'], format = 'newline_delimited', maximum_object_size = 16777216, columns = {"i": 'BIGINT', "c0": 'VARCHAR', "c1": 'BIGINT'})) x;

COMMIT;
