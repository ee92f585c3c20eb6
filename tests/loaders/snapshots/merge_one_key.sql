BEGIN;

CREATE SCHEMA IF NOT EXISTS "main";

CREATE TEMP TABLE temp.main._hr_winners AS
SELECT k0, i, i + 137438953472 AS id, gone, h
FROM (SELECT CAST("c0" AS BIGINT) AS k0, i, false AS gone, NULL AS h, row_number() OVER (PARTITION BY CAST("c0" AS BIGINT) ORDER BY i DESC) AS n FROM (SELECT * FROM read_json(['PACKAGE/0-0.jsonl'], format = 'newline_delimited', maximum_object_size = 16777216, columns = {"i": 'BIGINT', "c0": 'BIGINT', "c1": 'VARCHAR'})))
WHERE n = 1;

DELETE FROM "main"."orders__items"
WHERE _hr_root_id IN (SELECT t._hr_id FROM "main"."orders" t JOIN temp.main._hr_winners w ON t."id" = w.k0);

DELETE FROM "main"."orders__items__opts"
WHERE _hr_root_id IN (SELECT t._hr_id FROM "main"."orders" t JOIN temp.main._hr_winners w ON t."id" = w.k0);

DELETE FROM "main"."orders" t USING temp.main._hr_winners w
WHERE t."id" = w.k0;

INSERT INTO "main"."orders" ("id", "at", "_hr_id", "_hr_load_id")
SELECT CAST("c0" AS BIGINT), CAST(CAST("c1" AS DATE) AS DATE), w.id, 2
FROM (SELECT * FROM read_json(['PACKAGE/0-0.jsonl'], format = 'newline_delimited', maximum_object_size = 16777216, columns = {"i": 'BIGINT', "c0": 'BIGINT', "c1": 'VARCHAR'})) x
JOIN temp.main._hr_winners w ON x.i = w.i AND NOT w.gone;

INSERT INTO "main"."orders__items" ("sku", "_hr_id", "_hr_parent_id", "_hr_root_id", "_hr_index", "_hr_load_id")
SELECT CAST("c0" AS VARCHAR), x.i + 137438953472, w.id, w.id, n, 2
FROM (SELECT * FROM read_json(['PACKAGE/1-1.jsonl'], format = 'newline_delimited', maximum_object_size = 16777216, columns = {"i": 'BIGINT', "p": 'BIGINT', "r": 'BIGINT', "n": 'BIGINT', "c0": 'VARCHAR'})) x
JOIN temp.main._hr_winners w ON x.r = w.i AND NOT w.gone;

INSERT INTO "main"."orders__items__opts" ("value", "_hr_id", "_hr_parent_id", "_hr_root_id", "_hr_index", "_hr_load_id")
SELECT CAST("c0" AS BIGINT), x.i + 137438953472, p + 137438953472, w.id, n, 2
FROM (SELECT * FROM read_json(['PACKAGE/2-2.jsonl'], format = 'newline_delimited', maximum_object_size = 16777216, columns = {"i": 'BIGINT', "p": 'BIGINT', "r": 'BIGINT', "n": 'BIGINT', "c0": 'BIGINT'})) x
JOIN temp.main._hr_winners w ON x.r = w.i AND NOT w.gone;

SELECT count(*) FROM temp.main._hr_winners WHERE gone;

DROP TABLE temp.main."_hr_winners";

COMMIT;
