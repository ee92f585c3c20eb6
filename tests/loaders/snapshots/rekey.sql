BEGIN;

CREATE SCHEMA IF NOT EXISTS "main";

DELETE FROM "main"."orders__tags"
WHERE _hr_root_id IN (SELECT t._hr_id FROM "main"."orders" t WHERE t."id" = 'it''s' AND EXISTS (SELECT 1 FROM "main"."orders" o WHERE o."id" = 'new"' AND o."shop" = t."shop"));

DELETE FROM "main"."orders" t
WHERE t."id" = 'it''s' AND EXISTS (SELECT 1 FROM "main"."orders" o WHERE o."id" = 'new"' AND o."shop" = t."shop");

UPDATE "main"."orders" SET "id" = 'new"'
WHERE "id" = 'it''s';

CREATE TEMP TABLE temp.main._hr_winners AS
SELECT k0, k1, i, i + 137438953472 AS id, gone, h
FROM (SELECT CAST("c0" AS VARCHAR) AS k0, CAST("c1" AS VARCHAR) AS k1, i, false AS gone, NULL AS h, row_number() OVER (PARTITION BY CAST("c0" AS VARCHAR), CAST("c1" AS VARCHAR) ORDER BY i DESC) AS n FROM (SELECT * FROM read_json(['PACKAGE/0-0.jsonl'], format = 'newline_delimited', maximum_object_size = 16777216, columns = {"i": 'BIGINT', "c0": 'VARCHAR', "c1": 'VARCHAR'})))
WHERE n = 1;

DELETE FROM "main"."orders__tags"
WHERE _hr_root_id IN (SELECT t._hr_id FROM "main"."orders" t JOIN temp.main._hr_winners w ON t."shop" = w.k0 AND t."id" = w.k1);

DELETE FROM "main"."orders" t USING temp.main._hr_winners w
WHERE t."shop" = w.k0 AND t."id" = w.k1;

INSERT INTO "main"."orders" ("shop", "id", "_hr_id", "_hr_load_id")
SELECT CAST("c0" AS VARCHAR), CAST("c1" AS VARCHAR), w.id, 2
FROM (SELECT * FROM read_json(['PACKAGE/0-0.jsonl'], format = 'newline_delimited', maximum_object_size = 16777216, columns = {"i": 'BIGINT', "c0": 'VARCHAR', "c1": 'VARCHAR'})) x
JOIN temp.main._hr_winners w ON x.i = w.i AND NOT w.gone;

SELECT count(*) FROM temp.main._hr_winners WHERE gone;

DROP TABLE temp.main."_hr_winners";

COMMIT;
