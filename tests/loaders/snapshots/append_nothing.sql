BEGIN;

CREATE SCHEMA IF NOT EXISTS "shop";

CREATE TABLE "shop"."orders" ("_hr_id" BIGINT, "_hr_load_id" BIGINT);

INSERT INTO "shop"."orders" ("_hr_id", "_hr_load_id")
SELECT i + 68719476736, 1
FROM (SELECT CAST(NULL AS BIGINT) AS "i" WHERE false) x;

COMMIT;
