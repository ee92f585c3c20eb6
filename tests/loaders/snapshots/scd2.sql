BEGIN;

CREATE SCHEMA IF NOT EXISTS "shop";

ALTER TABLE "shop"."orders" ALTER COLUMN "gone" TYPE BOOLEAN USING CAST(NULL AS BOOLEAN);

CREATE TEMP TABLE temp.main._hr_winners AS
SELECT k0, i, i + 137438953472 AS id, gone, h
FROM (SELECT CAST("c2" AS BIGINT) AS k0, i, false AS gone, h AS h, row_number() OVER (PARTITION BY CAST("c2" AS BIGINT) ORDER BY i DESC) AS n FROM (SELECT * FROM read_json(['PACKAGE/0-0.jsonl'], format = 'newline_delimited', maximum_object_size = 16777216, columns = {"i": 'BIGINT', "h": 'BIGINT', "c0": 'VARCHAR', "c1": 'BOOLEAN', "c2": 'BIGINT', "c3": 'BIGINT'})))
WHERE n = 1;

UPDATE "shop"."orders" t SET "_hr_valid_to" = 'NOW' WHERE t."_hr_valid_to" IS NULL AND NOT EXISTS (SELECT 1 FROM temp.main._hr_winners w WHERE t."id" = w.k0);

DELETE FROM temp.main._hr_winners w USING "shop"."orders" t WHERE t."_hr_valid_to" IS NULL AND t."id" = w.k0 AND NOT w.gone AND t."_hr_hash" = w.h;

UPDATE "shop"."orders" t SET "_hr_valid_to" = 'NOW' FROM temp.main._hr_winners w WHERE t."_hr_valid_to" IS NULL AND t."id" = w.k0;

INSERT INTO "shop"."orders" ("day", "gone", "id", "n", "_hr_valid_from", "_hr_hash", "_hr_id", "_hr_load_id")
SELECT CAST("c0" AS VARCHAR), CAST("c1" AS BOOLEAN), CAST("c2" AS BIGINT), CAST("c3" AS BIGINT), 'NOW', w.h, w.id, 2
FROM (SELECT * FROM read_json(['PACKAGE/0-0.jsonl'], format = 'newline_delimited', maximum_object_size = 16777216, columns = {"i": 'BIGINT', "h": 'BIGINT', "c0": 'VARCHAR', "c1": 'BOOLEAN', "c2": 'BIGINT', "c3": 'BIGINT'})) x
JOIN temp.main._hr_winners w ON x.i = w.i AND NOT w.gone;

INSERT INTO "shop"."orders__tags" ("value", "_hr_id", "_hr_parent_id", "_hr_root_id", "_hr_index", "_hr_load_id")
SELECT CAST("c0" AS VARCHAR), x.i + 137438953472, w.id, w.id, n, 2
FROM (SELECT * FROM read_json(['PACKAGE/1-1.jsonl'], format = 'newline_delimited', maximum_object_size = 16777216, columns = {"i": 'BIGINT', "p": 'BIGINT', "r": 'BIGINT', "n": 'BIGINT', "c0": 'VARCHAR'})) x
JOIN temp.main._hr_winners w ON x.r = w.i AND NOT w.gone;

SELECT count(*) FROM temp.main._hr_winners WHERE gone;

DROP TABLE temp.main."_hr_winners";

COMMIT;
