BEGIN;

CREATE SCHEMA IF NOT EXISTS "shop";

ALTER TABLE "shop"."orders" ALTER COLUMN "gone" TYPE BOOLEAN USING CAST(NULL AS BOOLEAN);

CREATE TEMP TABLE temp.main._hr_winners AS
SELECT k0, i, i + 137438953472 AS id, gone, h
FROM (SELECT CAST("c0" AS BIGINT) AS k0, i, false AS gone, NULL AS h, row_number() OVER (PARTITION BY CAST("c0" AS BIGINT) ORDER BY i DESC) AS n FROM (SELECT * FROM read_json(['PACKAGE/0-0.jsonl'], format = 'newline_delimited', maximum_object_size = 16777216, columns = {"i": 'BIGINT', "c0": 'BIGINT', "c1": 'VARCHAR', "c2": 'BIGINT', "c3": 'BOOLEAN'})))
WHERE n = 1;

DELETE FROM "shop"."orders__tags"
WHERE _hr_root_id IN (SELECT t._hr_id FROM "shop"."orders" t JOIN temp.main._hr_winners w ON t."id" = w.k0);

DELETE FROM "shop"."orders" t USING temp.main._hr_winners w
WHERE t."id" = w.k0;

DELETE FROM "shop"."orders__tags"
WHERE _hr_root_id IN (SELECT t._hr_id FROM "shop"."orders" t JOIN (SELECT DISTINCT CAST("c1" AS VARCHAR) AS g0 FROM (SELECT * FROM read_json(['PACKAGE/0-0.jsonl'], format = 'newline_delimited', maximum_object_size = 16777216, columns = {"i": 'BIGINT', "c0": 'BIGINT', "c1": 'VARCHAR', "c2": 'BIGINT', "c3": 'BOOLEAN'}))) w ON t."day" IS NOT DISTINCT FROM w.g0);

DELETE FROM "shop"."orders" t USING (SELECT DISTINCT CAST("c1" AS VARCHAR) AS g0 FROM (SELECT * FROM read_json(['PACKAGE/0-0.jsonl'], format = 'newline_delimited', maximum_object_size = 16777216, columns = {"i": 'BIGINT', "c0": 'BIGINT', "c1": 'VARCHAR', "c2": 'BIGINT', "c3": 'BOOLEAN'}))) w
WHERE t."day" IS NOT DISTINCT FROM w.g0;

INSERT INTO "shop"."orders" ("id", "day", "n", "gone", "_hr_id", "_hr_load_id")
SELECT CAST("c0" AS BIGINT), CAST("c1" AS VARCHAR), CAST("c2" AS BIGINT), CAST("c3" AS BOOLEAN), w.id, 2
FROM (SELECT * FROM read_json(['PACKAGE/0-0.jsonl'], format = 'newline_delimited', maximum_object_size = 16777216, columns = {"i": 'BIGINT', "c0": 'BIGINT', "c1": 'VARCHAR', "c2": 'BIGINT', "c3": 'BOOLEAN'})) x
JOIN temp.main._hr_winners w ON x.i = w.i AND NOT w.gone;

INSERT INTO "shop"."orders__tags" ("value", "_hr_id", "_hr_parent_id", "_hr_root_id", "_hr_index", "_hr_load_id")
SELECT CAST("c0" AS VARCHAR), x.i + 137438953472, w.id, w.id, n, 2
FROM (SELECT * FROM read_json(['PACKAGE/1-1.jsonl'], format = 'newline_delimited', maximum_object_size = 16777216, columns = {"i": 'BIGINT', "p": 'BIGINT', "r": 'BIGINT', "n": 'BIGINT', "c0": 'VARCHAR'})) x
JOIN temp.main._hr_winners w ON x.r = w.i AND NOT w.gone;

SELECT count(*) FROM temp.main._hr_winners WHERE gone;

DROP TABLE temp.main."_hr_winners";

COMMIT;
