CREATE SCHEMA IF NOT EXISTS "shop";

CREATE TABLE "shop"."orders" (
    "price" DECIMAL(18,2),
    "meta" JSON,
    "id" BIGINT,
    "id__v_text" VARCHAR,
    "user__zip" VARCHAR,
    "pk" BOOLEAN,
    "unitx" HUGEINT,
    "_hr_id" BIGINT,
    "_hr_load_id" BIGINT
);

COMMENT ON TABLE "shop"."orders" IS 'What was ordered: it''s all here.';

COMMENT ON COLUMN "shop"."orders"."user__zip" IS 'Five
digits.';

CREATE TABLE "shop"."orders__grid" (
    "_hr_id" BIGINT,
    "_hr_parent_id" BIGINT,
    "_hr_root_id" BIGINT,
    "_hr_index" BIGINT,
    "_hr_load_id" BIGINT
);

CREATE TABLE "shop"."orders__items" (
    "sku" VARCHAR,
    "_hr_id" BIGINT,
    "_hr_parent_id" BIGINT,
    "_hr_root_id" BIGINT,
    "_hr_index" BIGINT,
    "_hr_load_id" BIGINT
);

COMMENT ON TABLE "shop"."orders__items" IS 'The lines.';

CREATE TABLE "shop"."orders__grid__list" (
    "value" BIGINT,
    "_hr_id" BIGINT,
    "_hr_parent_id" BIGINT,
    "_hr_root_id" BIGINT,
    "_hr_index" BIGINT,
    "_hr_load_id" BIGINT
);

COMMENT ON COLUMN "shop"."orders__grid__list"."value" IS 'A cell.';

CREATE TABLE "shop"."orders__items__opts" (
    "value" BIGINT,
    "_hr_id" BIGINT,
    "_hr_parent_id" BIGINT,
    "_hr_root_id" BIGINT,
    "_hr_index" BIGINT,
    "_hr_load_id" BIGINT
);
