-- Functions that no other file calls.
SELECT gcd(12.5, 5), gcd(0.0, 7.50), gcd(-12, 18.0), gcd('NaN', 1.0), gcd('Infinity', 2.0), gcd(12345678901234567890.5, 98765.25), lcm(12.5, 5), lcm(0, 5.00), lcm(-4.0, 6);
SELECT width_bucket(5.35::numeric, 0.024, 10.06, 5), width_bucket(-1.0, 0, 10, 4), width_bucket(10.0, 0, 10, 4), width_bucket(3.0, 10, 0, 4), width_bucket('Infinity'::numeric, 0, 10, 4), width_bucket(9.999, 0, 10, 4);
SELECT width_bucket(1.0, 0, 0, 4);
SELECT width_bucket(1.0, 0, 1, 0);
SELECT width_bucket('NaN'::numeric, 0, 1, 1);
SELECT width_bucket(1.0, 'Infinity', 1, 1);
SELECT int2send(1::int2), int4send(5), int8send(-1), textsend('abc'), float4send(1.5), float8send(1.5), numeric_send(1.25), boolsend(true), charsend('x'), namesend('n'), byteasend('\x01'), varcharsend('v'), bpcharsend('b'), oidsend(7::oid);
SELECT date_send('2020-01-01'), time_send('12:00'), timetz_send('12:00+01'), timestamp_send('2020-01-01'), timestamptz_send('2020-01-01 00:00+00'), interval_send('1 mon 2 days 03:00'), uuid_send('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'), regclasssend('pg_class');
SELECT count(*) FROM pg_class WHERE oid::regclass::text = 'pg_class';
SELECT string_agg(oid::regclass::text, ',' ORDER BY oid) FROM pg_class WHERE relname IN ('pg_class', 'pg_type');
SELECT format('%s %s', oid::regclass, relnamespace::regnamespace) FROM pg_class WHERE relname = 'pg_class';
SELECT concat(relowner::regrole, '-', array_agg(oid::regclass)) FROM pg_class WHERE relname = 'pg_proc' GROUP BY relowner;
-- Powers of numerics by integers have 16 places or those of the operands.
SELECT 3.5 ^ 5::numeric, 3.5::numeric ^ 65, power(2.0, 3), power(10.0, -20), power(10.0, 30), 1.5 ^ 100::numeric, power(2.12345678901234567890, 2), power(0.1, 10), power(7.0, -3), power(2.0, 0), power(1.0, 12345678901);
-- Results near the ends of what numeric holds: decided before the digits are made.
SELECT '1e10'::numeric ^ '-99999999999999999999.99'::numeric = 0, scale(0.5 ^ '-99999999999999999999.99'::numeric * 0);
SELECT '1e10'::numeric ^ '-99999999999999999999.99'::numeric = 0, scale('1e10'::numeric ^ '-99999999999999999999.99'::numeric);
SELECT '1e10'::numeric ^ 99999999999999999999.99;
SELECT length((0.00001 ^ 123.456)::text), 0.00001 ^ 12.5, '-1'::numeric ^ '1234567890123456789012345678901234567890', '-1'::numeric ^ '1234567890123456789012345678901234567891', scale(0.5 ^ '1e10'::numeric);
SELECT exp(5999.0) > 0, exp(-6000.0) = 0, scale(exp(-6000.0)), exp(-12.5), exp(12.5);
SELECT exp(6000.0);
SELECT ln('1e100000'::numeric), ln('1e-1000'::numeric), log('1e100000'), log(2, '1e100000'), ln(9.9999e11), ln(0.00000000000123456);
SELECT ln(1.00000000000000000001), ln(0.99999999999999999999), ln(1.0), ln(0.5), ln(1.5), log(1.5, 7), log(0.5, 1e10), 1.000000000001 ^ 1000000000000.5, 1.0000000000000000001 ^ 12345678901234.5;
SELECT '-Infinity'::numeric ^ 0.5;
SELECT 0 ^ '-Infinity'::numeric;
SELECT log(0, '-Infinity'::numeric);
-- Shortest floats: halfway between two is not enough.
SELECT 1e23::float8, '9.5367431640625e-07'::float8, 1.5e10::float4, '5e-324'::float8, '1.7976931348623157e308'::float8, '8.5e9'::float4, 2^60, '1e22'::float8, '9007199254740993'::float8;
-- VARIADIC arrays of concat and concat_ws
SELECT concat(VARIADIC ARRAY[1, NULL, 3]), concat_ws('-', VARIADIC ARRAY['a', NULL, 'b']), concat_ws(NULL, VARIADIC ARRAY['a']), concat(VARIADIC NULL::int[]), concat_ws(',', VARIADIC '{}'::text[]), concat(VARIADIC ARRAY[[1, 2], [3, 4]]), concat(ARRAY[1, 2], 'x'), concat(VARIADIC ARRAY[true, false]);
SELECT concat(VARIADIC 5);
SELECT concat_ws(',', VARIADIC 'x'::text);
SELECT concat_ws(',', 'a', VARIADIC ARRAY['b']);
SELECT concat(VARIADIC string_to_array('a b c', ' ')), concat_ws('+', VARIADIC x) FROM (VALUES (ARRAY['p', 'q']), (NULL)) v(x);
SELECT md5(factorial(0)::text), factorial(1), factorial(2), factorial(20), factorial(7), md5(factorial(100)::text), md5(factorial(1999)::text), md5(factorial(2000)::text), md5(factorial(5000)::text);
SELECT parse_ident('a.b."C d"'), parse_ident('A.B'), parse_ident(' "a""b" . c$1 '), parse_ident('foo.boo[]', false), parse_ident('É.x'), parse_ident('"x"y', false);
SELECT parse_ident('a.');
SELECT parse_ident('.a');
SELECT parse_ident('a..b');
SELECT parse_ident('a b');
SELECT parse_ident('1x');
SELECT parse_ident('"');
SELECT parse_ident('""');
SELECT parse_ident('');
SELECT parse_ident('a."');
SELECT parse_ident('a"b"');
