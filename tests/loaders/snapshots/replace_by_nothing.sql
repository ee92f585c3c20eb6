BEGIN;

CREATE SCHEMA IF NOT EXISTS "main";

DELETE FROM "main"."orders";

DELETE FROM "main"."orders__items";

DELETE FROM "main"."orders__items__opts";

INSERT INTO "main"."orders" ("_hr_id", "_hr_load_id")
SELECT i + 137438953472, 2
FROM (SELECT CAST(NULL AS BIGINT) AS "i" WHERE false) x;

COMMIT;
