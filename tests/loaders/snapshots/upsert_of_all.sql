BEGIN;

CREATE SCHEMA IF NOT EXISTS "shop";

ALTER TABLE "shop"."orders" ALTER COLUMN "gone" TYPE BOOLEAN USING CAST(NULL AS BOOLEAN);

CREATE TEMP TABLE temp.main._hr_winners AS
SELECT k0, i, i + 137438953472 AS id, gone, h
FROM (SELECT CAST("c0" AS BIGINT) AS k0, i, COALESCE(CAST("c3" AS BOOLEAN), false) AS gone, NULL AS h, row_number() OVER (PARTITION BY CAST("c0" AS BIGINT) ORDER BY CAST("c2" AS BIGINT) DESC NULLS LAST, i DESC) AS n FROM (SELECT * FROM read_json(['PACKAGE/0-0.jsonl'], format = 'newline_delimited', maximum_object_size = 16777216, columns = {"i": 'BIGINT', "c0": 'BIGINT', "c1": 'VARCHAR', "c2": 'BIGINT', "c3": 'BOOLEAN', "c4": 'BOOLEAN'})))
WHERE n = 1;

UPDATE temp.main._hr_winners w SET id = t._hr_id FROM "shop"."orders" t WHERE t."id" = w.k0;

CREATE TEMP TABLE temp.main._hr_old AS SELECT t.* FROM "shop"."orders" t JOIN temp.main._hr_winners w ON t._hr_id = w.id;

DELETE FROM "shop"."orders" WHERE _hr_id IN (SELECT id FROM temp.main._hr_winners);

DELETE FROM "shop"."orders__tags" WHERE _hr_root_id IN (SELECT w.id FROM temp.main._hr_winners w JOIN (SELECT * FROM read_json(['PACKAGE/0-0.jsonl'], format = 'newline_delimited', maximum_object_size = 16777216, columns = {"i": 'BIGINT', "c0": 'BIGINT', "c1": 'VARCHAR', "c2": 'BIGINT', "c3": 'BOOLEAN', "c4": 'BOOLEAN'})) x ON x.i = w.i
LEFT JOIN (SELECT DISTINCT r FROM (SELECT * FROM read_json(['PACKAGE/1-1.jsonl'], format = 'newline_delimited', maximum_object_size = 16777216, columns = {"i": 'BIGINT', "p": 'BIGINT', "r": 'BIGINT', "n": 'BIGINT', "c0": 'VARCHAR'}))) l0 ON l0.r = x.i WHERE w.gone OR (l0.r IS NOT NULL));

INSERT INTO "shop"."orders" ("id", "day", "n", "gone", "_hr_id", "_hr_load_id")
SELECT CASE WHEN (x."c0" IS NOT NULL) THEN CAST("c0" AS BIGINT) ELSE o."old id" END, CASE WHEN (x."c1" IS NOT NULL) THEN CAST("c1" AS VARCHAR) ELSE o."old day" END, CASE WHEN (x."c2" IS NOT NULL) THEN CAST("c2" AS BIGINT) ELSE o."old n" END, CASE WHEN (x."c3" IS NOT NULL OR x."c4" IS NOT NULL) THEN CAST("c3" AS BOOLEAN) ELSE o."old gone" END, w.id, 2
FROM (SELECT * FROM read_json(['PACKAGE/0-0.jsonl'], format = 'newline_delimited', maximum_object_size = 16777216, columns = {"i": 'BIGINT', "c0": 'BIGINT', "c1": 'VARCHAR', "c2": 'BIGINT', "c3": 'BOOLEAN', "c4": 'BOOLEAN'})) x JOIN temp.main._hr_winners w ON x.i = w.i AND NOT w.gone
LEFT JOIN (SELECT DISTINCT r FROM (SELECT * FROM read_json(['PACKAGE/1-1.jsonl'], format = 'newline_delimited', maximum_object_size = 16777216, columns = {"i": 'BIGINT', "p": 'BIGINT', "r": 'BIGINT', "n": 'BIGINT', "c0": 'VARCHAR'}))) l0 ON l0.r = x.i
LEFT JOIN (SELECT "_hr_id" AS "old _hr_id", "id" AS "old id", "day" AS "old day", "n" AS "old n", "gone" AS "old gone" FROM temp.main._hr_old) o ON o."old _hr_id" = w.id;

INSERT INTO "shop"."orders__tags" ("value", "_hr_id", "_hr_parent_id", "_hr_root_id", "_hr_index", "_hr_load_id")
SELECT CAST("c0" AS VARCHAR), x.i + 137438953472, w.id, w.id, n, 2
FROM (SELECT * FROM read_json(['PACKAGE/1-1.jsonl'], format = 'newline_delimited', maximum_object_size = 16777216, columns = {"i": 'BIGINT', "p": 'BIGINT', "r": 'BIGINT', "n": 'BIGINT', "c0": 'VARCHAR'})) x
JOIN temp.main._hr_winners w ON x.r = w.i AND NOT w.gone;

SELECT count(*) FROM temp.main._hr_winners WHERE gone;

DROP TABLE temp.main."_hr_old";

DROP TABLE temp.main."_hr_winners";

COMMIT;
