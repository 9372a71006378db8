-- The type json: input, output, casts, building, taking apart.
SELECT '{"a": 1, "b" : [1, 2.5e3, "x\u00e4\n", null, true, {"c": {}}]}'::json;
SELECT '  [ ]  '::json, '"s"'::json, '1'::json, 'null'::json, '-0.5E-7'::json, '[[],[[]]]'::json;
SELECT '{"a": {"b": [10, {"c": "deep"}]}, "n": null, "t": "text \"q\" \u0041"}'::json -> 'a' -> 'b' ->> 0;
SELECT j -> 'a', j ->> 'a', j -> 'n', j ->> 'n', j ->> 't', j -> 't', j -> 'missing', j #> '{a,b,1,c}', j #>> '{a,b,1,c}',
       j #> '{a,b,-1}', j #> '{a,x}', j #> '{}', j -> 0
  FROM (SELECT '{"a": {"b": [10, {"c": "deep"}]}, "n": null, "t": "text \"q\" \u0041"}'::json AS j) s;
SELECT a -> 0, a ->> 1, a -> 2, a ->> 3, a -> -1, a -> -9, a -> 'x', a #>> '{2,0}' FROM (SELECT '[1, "two", [3], null]'::json AS a) s;
SELECT '{"a": 1, "a": 2}'::json -> 'a', '{"": 5}'::json -> '', '{"\u0061": 7}'::json -> 'a';
SELECT json_extract_path('{"a": [1, 2]}', 'a', '1'), json_extract_path_text('{"a": ["x"]}', 'a', '0'), json_extract_path('{"a": 1}', 'b');
SELECT json_array_length('[1, [2, 3], {}]'), json_array_length('[]');
SELECT json_array_length('{}');
SELECT json_array_length('5');
SELECT json_typeof('{}'), json_typeof('[]'), json_typeof('"x"'), json_typeof('1'), json_typeof('null'), json_typeof('true');
SELECT json_build_object(), json_build_object('a', 1, 'b', NULL, 3, true, 'arr', '{1,2}'::int[], 'j', '{"x": 1}'::json, 'd', date '2024-02-29');
SELECT json_build_array(), json_build_array(1, 'x', NULL, 1.50, 'NaN'::float8, 'Infinity'::numeric, E'a"b\\c\n\x01', '{{1,2},{3,4}}'::int[]);
SELECT json_build_object('a');
SELECT json_build_object(NULL, 1);
SELECT json_build_object('{1}'::int[], 1);
SET timezone = 'Asia/Kolkata';
SELECT to_json(1), to_json('a "b"'::text), to_json(true), to_json(NULL::int), to_json(timestamp '2024-02-29 12:34:56.789'),
       to_json(timestamptz '2024-02-29 00:00:00+00'), to_json('infinity'::timestamp), to_json(interval '1 day 2 hours'),
       to_json('\x00ff'::bytea), to_json(ARRAY['x', NULL, 'y,z']), to_json('{}'::int[]), to_json('00000000-0000-0000-0000-000000000001'::uuid);
SET timezone = 'UTC';
SELECT to_json(timestamptz '2024-02-29 00:00:00+00'), to_json(date '0044-03-15 BC'), array_to_json('{1,2}'::int[]), to_json(time '10:00');
CREATE TABLE j (id int PRIMARY KEY, doc json DEFAULT '{}');
INSERT INTO j VALUES (1, '{"k": [1, 2], "name": "one"}'), (2, DEFAULT), (3, NULL);
INSERT INTO j VALUES (4, '{"k": }');
SELECT id, doc, doc ->> 'name', doc -> 'k' -> 1 FROM j ORDER BY id;
SELECT id FROM j WHERE doc ->> 'name' = 'one';
UPDATE j SET doc = json_build_object('id', id, 'old', doc) WHERE id < 3;
SELECT id, doc FROM j ORDER BY id;
COPY (SELECT * FROM j ORDER BY id) TO STDOUT;
CREATE INDEX ON j ((doc ->> 'name'));
CREATE INDEX ON j (doc);
SELECT DISTINCT doc FROM j;
SELECT doc FROM j ORDER BY doc;
SELECT '1'::json = '1'::json;
SELECT '{"a":1}'::text::json, '{"a":1}'::json::text, '["a"]'::varchar::json ->> 0;
PREPARE pj(json, text) AS SELECT $1 ->> $2;
EXECUTE pj('{"x": "y"}', 'x');
SELECT ''::json;
SELECT '{'::json;
SELECT '{"a"}'::json;
SELECT '{"a": 1,}'::json;
SELECT '{"a": 1 "b": 2}'::json;
SELECT '{1: 2}'::json;
SELECT '[1, ]'::json;
SELECT '[,1]'::json;
SELECT '[1 2]'::json;
SELECT '[1'::json;
SELECT 'tru'::json;
SELECT '01'::json;
SELECT '1.'::json;
SELECT '-'::json;
SELECT '"abc'::json;
SELECT '"a\x"'::json;
SELECT '"\u12"'::json;
SELECT '"\ud800"'::json;
SELECT '{"a": 1} x'::json;
SELECT '{"a":
  bad}'::json;
SELECT '"\u0000"'::json;
SELECT '["\ud83d\ude00"]'::json ->> 0;
DROP TABLE j;
SELECT '"\u12é"'::json;
SELECT '"\é"'::json;
SELECT 'é'::json;
SELECT '{"ключ": "значение", "a": [1, 2, {"b": "очень длинная строка, которая не помещается"}], x}'::json;
