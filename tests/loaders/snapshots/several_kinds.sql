BEGIN;

CREATE SCHEMA IF NOT EXISTS "main";

CREATE TABLE "main"."orders" ("n" HUGEINT, "t" VARCHAR, "_hr_id" BIGINT, "_hr_load_id" BIGINT);

INSERT INTO "main"."orders" ("n", "t", "_hr_id", "_hr_load_id")
SELECT COALESCE(CAST("c0" AS HUGEINT), CAST("c1" AS HUGEINT), CAST(CAST("c2" AS HUGEINT) AS HUGEINT)), COALESCE(CAST("c3" AS VARCHAR), CAST("c4" AS VARCHAR)), i + 68719476736, 1
FROM (SELECT * FROM read_json(['PACKAGE/0-0.jsonl'], format = 'newline_delimited', maximum_object_size = 16777216, columns = {"i": 'BIGINT', "c0": 'BIGINT', "c1": 'BIGINT', "c2": 'VARCHAR', "c3": 'VARCHAR', "c4": 'VARCHAR'})) x;

COMMIT;
