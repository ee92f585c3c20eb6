BEGIN;

CREATE SCHEMA IF NOT EXISTS "main";

CREATE TABLE "main"."orders" ("price" DECIMAL(18,2), "meta" JSON, "_hr_id" BIGINT, "_hr_load_id" BIGINT);

CREATE TABLE "main"."orders__items" ("sku" VARCHAR, "_hr_id" BIGINT, "_hr_parent_id" BIGINT, "_hr_root_id" BIGINT, "_hr_index" BIGINT, "_hr_load_id" BIGINT);

INSERT INTO "main"."orders" ("meta", "_hr_id", "_hr_load_id")
SELECT CAST(CAST("c0" AS JSON) AS JSON), i + 68719476736, 1
FROM (SELECT * FROM read_json(['PACKAGE/0-0.jsonl'], format = 'newline_delimited', maximum_object_size = 16777216, columns = {"i": 'BIGINT', "c0": 'VARCHAR'})) x;

INSERT INTO "main"."orders__items" ("sku", "_hr_id", "_hr_parent_id", "_hr_root_id", "_hr_index", "_hr_load_id")
SELECT CAST("c0" AS VARCHAR), i + 68719476736, p + 68719476736, r + 68719476736, n, 1
FROM (SELECT * FROM read_json(['PACKAGE/1-1.jsonl'], format = 'newline_delimited', maximum_object_size = 16777216, columns = {"i": 'BIGINT', "p": 'BIGINT', "r": 'BIGINT', "n": 'BIGINT', "c0": 'VARCHAR'})) x;

COMMIT;
