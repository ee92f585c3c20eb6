BEGIN;

CREATE SCHEMA IF NOT EXISTS "shop";

ALTER TABLE "shop"."orders" ADD COLUMN "note" VARCHAR;

ALTER TABLE "shop"."orders__items" ADD COLUMN "gift" BOOLEAN;

CREATE TABLE "shop"."orders__tags" ("value" VARCHAR, "_hr_id" BIGINT, "_hr_parent_id" BIGINT, "_hr_root_id" BIGINT, "_hr_index" BIGINT, "_hr_load_id" BIGINT);

INSERT INTO "shop"."orders" ("note", "_hr_id", "_hr_load_id")
SELECT CAST("c0" AS VARCHAR), i + 137438953472, 2
FROM (SELECT * FROM read_json(['PACKAGE/0-0.jsonl'], format = 'newline_delimited', maximum_object_size = 16777216, columns = {"i": 'BIGINT', "c0": 'VARCHAR'})) x;

INSERT INTO "shop"."orders__items" ("gift", "_hr_id", "_hr_parent_id", "_hr_root_id", "_hr_index", "_hr_load_id")
SELECT CAST("c0" AS BOOLEAN), i + 137438953472, p + 137438953472, r + 137438953472, n, 2
FROM (SELECT * FROM read_json(['PACKAGE/1-1.jsonl'], format = 'newline_delimited', maximum_object_size = 16777216, columns = {"i": 'BIGINT', "p": 'BIGINT', "r": 'BIGINT', "n": 'BIGINT', "c0": 'BOOLEAN'})) x;

INSERT INTO "shop"."orders__tags" ("value", "_hr_id", "_hr_parent_id", "_hr_root_id", "_hr_index", "_hr_load_id")
SELECT CAST("c0" AS VARCHAR), i + 137438953472, p + 137438953472, r + 137438953472, n, 2
FROM (SELECT * FROM read_json(['PACKAGE/2-2.jsonl'], format = 'newline_delimited', maximum_object_size = 16777216, columns = {"i": 'BIGINT', "p": 'BIGINT', "r": 'BIGINT', "n": 'BIGINT', "c0": 'VARCHAR'})) x;

COMMIT;
