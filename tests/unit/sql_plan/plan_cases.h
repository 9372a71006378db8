/* Statements and their plans: shards, SQL, EXPLAIN (COSTS OFF) or !SQLSTATE message. */
/* clang-format off */
{4,
 "select * from users where id = 5",
 "Gather on shard by key\n"
 "  Shard Key: 5\n"
 "  ->  Index Scan using users_pkey on users\n"
 "        Index Cond: (id = 5)"},
{1,
 "select * from users where id = 5",
 "Gather on 1 shard\n"
 "  ->  Index Scan using users_pkey on users\n"
 "        Index Cond: (id = 5)"},
{4,
 "select name from users where id = $1 order by name limit 3",
 "Gather on shard by key\n"
 "  Shard Key: $1\n"
 "  ->  Limit\n"
 "        ->  Sort\n"
 "              Sort Key: name\n"
 "              ->  Index Scan using users_pkey on users\n"
 "                    Index Cond: (id = $1)"},
{4,
 "select name from users where name = 'x'",
 "Gather on 4 shards\n"
 "  ->  Seq Scan on users\n"
 "        Filter: (name = x)"},
{4,
 "select name from users order by name limit 10",
 "Limit\n"
 "  ->  Gather Merge on 4 shards\n"
 "        Sort Key: name\n"
 "        ->  Limit\n"
 "              ->  Sort\n"
 "                    Sort Key: name\n"
 "                    ->  Seq Scan on users"},
{4,
 "select count(*), sum(total) from orders where user_id = 3",
 "Finalize Aggregate\n"
 "  ->  Gather on 4 shards\n"
 "        ->  Partial Aggregate\n"
 "              ->  Seq Scan on orders\n"
 "                    Filter: (user_id = 3)"},
{4,
 "select user_id, count(*) from orders group by user_id having count(*) > 1",
 "Finalize HashAggregate\n"
 "  Group Key: user_id\n"
 "  Filter: (count(*) > 1)\n"
 "  ->  Gather on 4 shards\n"
 "        ->  Partial HashAggregate\n"
 "              Group Key: user_id\n"
 "              ->  Seq Scan on orders"},
{4,
 "SELECT u.name, COUNT(*), SUM(o.total) FROM users u JOIN orders o ON u.id = o.user_id WHERE o.total > 50 GROUP BY u.name HAVING COUNT(*) > 1 ORDER BY SUM(o.total) DESC LIMIT 10",
 "Limit\n"
 "  ->  Sort\n"
 "        Sort Key: sum(o.total) DESC\n"
 "        ->  HashAggregate\n"
 "              Group Key: u.name\n"
 "              Filter: (count(*) > 1)\n"
 "              ->  Hash Join\n"
 "                    Hash Cond: (o.user_id = u.id)\n"
 "                    ->  Gather on 4 shards\n"
 "                          ->  Seq Scan on orders o\n"
 "                                Filter: (o.total > 50)\n"
 "                    ->  Gather on 4 shards\n"
 "                          ->  Seq Scan on users u"},
{1,
 "SELECT u.name, COUNT(*), SUM(o.total) FROM users u JOIN orders o ON u.id = o.user_id WHERE o.total > 50 GROUP BY u.name HAVING COUNT(*) > 1 ORDER BY SUM(o.total) DESC LIMIT 10",
 "Gather on 1 shard\n"
 "  ->  Limit\n"
 "        ->  Sort\n"
 "              Sort Key: sum(o.total) DESC\n"
 "              ->  HashAggregate\n"
 "                    Group Key: u.name\n"
 "                    Filter: (count(*) > 1)\n"
 "                    ->  Hash Join\n"
 "                          Hash Cond: (o.user_id = u.id)\n"
 "                          ->  Seq Scan on orders o\n"
 "                                Filter: (o.total > 50)\n"
 "                          ->  Seq Scan on users u"},
{4,
 "select u.name, b.what from users u join baskets b on b.user_id = u.id where u.id = 7",
 "Gather on shard by key\n"
 "  Shard Key: 7\n"
 "  ->  Nested Loop\n"
 "        ->  Index Scan using users_pkey on users u\n"
 "              Index Cond: (u.id = 7)\n"
 "        ->  Index Scan using baskets_pkey on baskets b\n"
 "              Index Cond: (b.user_id = 7)"},
{4,
 "select u.name, b.what from users u join baskets b on b.user_id = u.id",
 "Gather on 4 shards\n"
 "  ->  Hash Join\n"
 "        Hash Cond: (b.user_id = u.id)\n"
 "        ->  Seq Scan on baskets b\n"
 "        ->  Seq Scan on users u"},
{4,
 "select u.name, b.what from users u left join baskets b on b.user_id = u.id and b.line = 1 where u.id = 7",
 "Gather on shard by key\n"
 "  Shard Key: 7\n"
 "  ->  Nested Loop Left Join\n"
 "        Join Filter: (b.user_id = u.id)\n"
 "        ->  Index Scan using users_pkey on users u\n"
 "              Index Cond: (u.id = 7)\n"
 "        ->  Index Scan using baskets_pkey on baskets b\n"
 "              Index Cond: ((b.user_id = 7) AND (b.line = 1))"},
{4,
 "select a.relname, b.num from sysa a join sysb b on b.parent = a.oid where a.relname = 'x' order by 1, 2",
 "Gather on shard 0\n"
 "  ->  Sort\n"
 "        Sort Key: b.num\n"
 "        ->  Hash Join\n"
 "              Hash Cond: (b.parent = a.oid)\n"
 "              ->  Seq Scan on sysb b\n"
 "              ->  Seq Scan on sysa a\n"
 "                    Filter: (a.relname = x)"},
{4,
 "select u.name from users u where exists (select 1 from orders o where o.user_id = u.id)",
 "Nested Loop\n"
 "  ->  HashAggregate\n"
 "        Group Key: o.user_id\n"
 "        ->  Gather on 4 shards\n"
 "              ->  Seq Scan on orders o\n"
 "  ->  Gather on shard by key\n"
 "        Shard Key: o.user_id\n"
 "        ->  Index Scan using users_pkey on users u\n"
 "              Index Cond: (u.id = o.user_id)"},
{4,
 "select u.name from users u where not exists (select 1 from baskets o where o.user_id = u.id)",
 "Gather on 4 shards\n"
 "  ->  Hash Anti Join\n"
 "        Hash Cond: (u.id = o.user_id)\n"
 "        ->  Seq Scan on users u\n"
 "        ->  Seq Scan on baskets o"},
{4,
 "select u.name from users u where u.id in (select user_id from orders where total > 100)",
 "Hash Semi Join\n"
 "  Hash Cond: (u.id = orders.user_id)\n"
 "  ->  Gather on 4 shards\n"
 "        ->  Seq Scan on users u\n"
 "  ->  Gather on 4 shards\n"
 "        ->  Seq Scan on orders\n"
 "              Filter: (orders.total > 100)"},
{4,
 "select u.name from users u where u.id not in (select user_id from orders)",
 "Result\n"
 "  Filter: NOT((SubPlan 1))\n"
 "  ->  Gather on 4 shards\n"
 "        ->  Seq Scan on users u\n"
 "  SubPlan 1\n"
 "    ->  Gather on 4 shards\n"
 "        ->  Seq Scan on orders"},
{4,
 "select name, (select count(*) from orders o where o.user_id = u.id) from users u",
 "Result\n"
 "  ->  Gather on 4 shards\n"
 "        ->  Seq Scan on users u\n"
 "  SubPlan 1\n"
 "    ->  Finalize Aggregate\n"
 "        ->  Gather on 4 shards\n"
 "              ->  Partial Aggregate\n"
 "                    ->  Seq Scan on orders o\n"
 "                          Filter: (o.user_id = u.id)"},
{4,
 "select name from users where id = (select max(user_id) from orders)",
 "Gather on 4 shards\n"
 "  ->  Seq Scan on users\n"
 "        Filter: (users.id = $0)\n"
 "  InitPlan 1 (returns $0)\n"
 "    ->  Finalize Aggregate\n"
 "        ->  Gather on 4 shards\n"
 "              ->  Partial Aggregate\n"
 "                    ->  Seq Scan on orders"},
{4,
 "update users set name = 'y' where id = 4",
 "Gather on shard by key\n"
 "  Shard Key: 4\n"
 "  ->  Update on users\n"
 "        ->  Index Scan using users_pkey on users\n"
 "              Index Cond: (id = 4)"},
{4,
 "update users set id = 9 where id = 4",
 "Update on users\n"
 "  ->  Gather on shard by key\n"
 "        Shard Key: 4\n"
 "        ->  Index Scan using users_pkey on users\n"
 "              Index Cond: (id = 4)"},
{4,
 "delete from orders where total < 5",
 "Gather on 4 shards\n"
 "  ->  Delete on orders\n"
 "        ->  Seq Scan on orders\n"
 "              Filter: (total < 5)"},
{4,
 "update users u set name = o.note from orders o where o.user_id = u.id returning u.name, o.note",
 "Update on users u\n"
 "  ->  Hash Join\n"
 "        Hash Cond: (o.user_id = u.id)\n"
 "        ->  Gather on 4 shards\n"
 "              ->  Seq Scan on orders o\n"
 "        ->  Gather on 4 shards\n"
 "              ->  Seq Scan on users u"},
{4,
 "insert into users values (1, 'a', 'b')",
 "Gather on shard by key\n"
 "  Shard Key: 1\n"
 "  ->  Insert on users\n"
 "        ->  Result"},
{4,
 "insert into users values ($1, 'a', 'b') returning id",
 "Gather on shard by key\n"
 "  Shard Key: $1\n"
 "  ->  Insert on users\n"
 "        ->  Result"},
{4,
 "insert into users values (1, 'a', 'b'), (2, 'c', 'd')",
 "Insert on users\n"
 "  ->  Values Scan on \"*VALUES*\""},
{4,
 "insert into users select id + 1, name, email from users",
 "Insert on users\n"
 "  ->  Gather on 4 shards\n"
 "        ->  Seq Scan on users"},
{4,
 "select 1 union select 2 union all select 3",
 "Append\n"
 "  ->  HashAggregate\n"
 "        Group Key: 1\n"
 "        ->  Append\n"
 "              ->  Result\n"
 "              ->  Result\n"
 "  ->  Result"},
{4,
 "select id from users intersect select user_id from orders order by 1",
 "Sort\n"
 "  Sort Key: users.id\n"
 "  ->  HashSetOp Intersect\n"
 "        ->  Gather on 4 shards\n"
 "              ->  Seq Scan on users\n"
 "        ->  Gather on 4 shards\n"
 "              ->  Seq Scan on orders"},
{4,
 "with recursive t(n) as (select 1 union all select n + 1 from t where n < 10) select * from t",
 "CTE Scan on t\n"
 "  CTE t\n"
 "    ->  Recursive Union\n"
 "        ->  Result\n"
 "        ->  WorkTable Scan on t\n"
 "              Filter: (t.n < 10)"},
{4,
 "with t as (select * from users) select * from t where id = 3",
 "Gather on shard by key\n"
 "  Shard Key: 3\n"
 "  ->  Index Scan using users_pkey on users\n"
 "        Index Cond: (id = 3)"},
{4,
 "with t as materialized (select * from users) select a.name from t a join t b on a.id = b.id",
 "Hash Join\n"
 "  Hash Cond: (a.id = b.id)\n"
 "  ->  CTE Scan on t a\n"
 "  ->  CTE Scan on t b\n"
 "  CTE t\n"
 "    ->  Gather on 4 shards\n"
 "        ->  Seq Scan on users"},
{4,
 "select distinct user_id from orders",
 "HashAggregate\n"
 "  Group Key: user_id\n"
 "  ->  Gather on 4 shards\n"
 "        ->  HashAggregate\n"
 "              Group Key: user_id\n"
 "              ->  Seq Scan on orders"},
{4,
 "select distinct on (user_id) user_id, total from orders order by user_id, total desc",
 "Unique\n"
 "  ->  Gather Merge on 4 shards\n"
 "        Sort Key: user_id, total DESC\n"
 "        ->  Sort\n"
 "              Sort Key: user_id, total DESC\n"
 "              ->  Seq Scan on orders"},
{4,
 "select generate_series(1, 3)",
 "ProjectSet\n"
 "  ->  Result"},
{4,
 "select * from generate_series(1, 3) g join users u on u.id = g",
 "Gather on 4 shards\n"
 "  ->  Hash Join\n"
 "        Hash Cond: (u.id = g.g)\n"
 "        ->  Seq Scan on users u\n"
 "        ->  Function Scan on generate_series g"},
{4,
 "select * from users u, lateral (select * from orders o where o.user_id = u.id limit 2) x",
 "Nested Loop\n"
 "  ->  Gather on 4 shards\n"
 "        ->  Seq Scan on users u\n"
 "  ->  Limit\n"
 "        ->  Gather on 4 shards\n"
 "              ->  Limit\n"
 "                    ->  Seq Scan on orders o\n"
 "                          Filter: (o.user_id = u.id)"},
{4,
 "select * from users where id = 3 for update",
 "Gather on shard by key\n"
 "  Shard Key: 3\n"
 "  ->  Result\n"
 "        ->  LockRows\n"
 "              ->  Index Scan using users_pkey on users\n"
 "                    Index Cond: (id = 3)"},
{4,
 "select id from users order by id limit 5 for update skip locked",
 "Result\n"
 "  ->  Limit\n"
 "        ->  LockRows\n"
 "              ->  Gather Merge on 4 shards\n"
 "                    Sort Key: id\n"
 "                    ->  Index Scan using users_pkey on users"},
{4,
 "select user_id, line, count(*) from baskets group by rollup (user_id, line)",
 "HashAggregate\n"
 "  Group Key: user_id, line\n"
 "  ->  Gather on 4 shards\n"
 "        ->  Seq Scan on baskets"},
{4,
 "select * from users u full join orders o on o.id = u.id",
 "Gather on 4 shards\n"
 "  ->  Hash Full Join\n"
 "        Hash Cond: (o.id = u.id)\n"
 "        ->  Seq Scan on orders o\n"
 "        ->  Seq Scan on users u"},
{4,
 "select c.name, u.name from colours c join users u on u.name = c.name",
 "Gather on 4 shards\n"
 "  ->  Hash Join\n"
 "        Hash Cond: (u.name = c.name)\n"
 "        ->  Seq Scan on users u\n"
 "        ->  Seq Scan on colours c"},
{4,
 "select * from users where 1 = 2",
 "Result\n"
 "  One-Time Filter: f"},
{4,
 "select * from users where id in (1, 2, 3)",
 "Gather on 4 shards\n"
 "  ->  Index Scan using users_pkey on users\n"
 "        Index Cond: (id = ANY ({1,2,3}))"},
{4,
 "select * from (select user_id, sum(total) s from orders group by user_id) x where user_id = 3",
 "Finalize HashAggregate\n"
 "  Group Key: user_id\n"
 "  ->  Gather on 4 shards\n"
 "        ->  Partial HashAggregate\n"
 "              Group Key: user_id\n"
 "              ->  Seq Scan on orders\n"
 "                    Filter: (user_id = 3)"},
{1,
 "select * from orders where id > 10 and id < 20 order by id desc",
 "Gather on 1 shard\n"
 "  ->  Index Scan Backward using orders_pkey on orders\n"
 "        Index Cond: ((id > 10) AND (id < 20))"},
{4,
 "select max(id) from users where name is not null group by email order by 1",
 "Sort\n"
 "  Sort Key: max(id)\n"
 "  ->  Finalize HashAggregate\n"
 "        Group Key: email\n"
 "        ->  Gather on 4 shards\n"
 "              ->  Partial HashAggregate\n"
 "                    Group Key: email\n"
 "                    ->  Seq Scan on users\n"
 "                          Filter: NOTNULL(name)"},
{4,
 "select u.id, a.id from users u left join (select * from orders where total > 3) a on a.id = u.id where a.note is null",
 "Gather on 4 shards\n"
 "  ->  Hash Right Join\n"
 "        Hash Cond: (orders.id = u.id)\n"
 "        Filter: ISNULL(orders.note)\n"
 "        ->  Seq Scan on orders\n"
 "              Filter: (orders.total > 3)\n"
 "        ->  Seq Scan on users u"},
{4,
 "values (1, 'a'), (2, 'b')",
 "Values Scan on \"*VALUES*\""},
{4,
 "select 1 + 1",
 "Result"},
{4,
 "select now(), count(distinct user_id) from orders",
 "Aggregate\n"
 "  ->  Gather on 4 shards\n"
 "        ->  Seq Scan on orders"},
{4,
 "select count(*) from users u left join orders o on o.user_id = u.id left join baskets b on b.user_id = u.id and b.line = o.id where u.name like 'ab%'",
 "Aggregate\n"
 "  ->  Hash Right Join\n"
 "        Hash Cond: ((b.user_id = u.id) AND (b.line = o.id))\n"
 "        ->  Gather on 4 shards\n"
 "              ->  Seq Scan on baskets b\n"
 "        ->  Hash Right Join\n"
 "              Hash Cond: (o.user_id = u.id)\n"
 "              ->  Gather on 4 shards\n"
 "                    ->  Seq Scan on orders o\n"
 "              ->  Gather on 4 shards\n"
 "                    ->  Seq Scan on users u\n"
 "                          Filter: (u.name ~~ ab%)"},
{4,
 "select u.id from users u left join orders o on o.user_id = u.id where o.total > 3",
 "Hash Join\n"
 "  Hash Cond: (o.user_id = u.id)\n"
 "  ->  Gather on 4 shards\n"
 "        ->  Seq Scan on orders o\n"
 "              Filter: (o.total > 3)\n"
 "  ->  Gather on 4 shards\n"
 "        ->  Seq Scan on users u"},
{4,
 "select * from (users u left join orders o on o.user_id = u.id) join logs l on l.line = u.name where o.note is null",
 "Hash Join\n"
 "  Hash Cond: (l.line = u.name)\n"
 "  ->  Gather on 4 shards\n"
 "        ->  Seq Scan on logs l\n"
 "  ->  Hash Right Join\n"
 "        Hash Cond: (o.user_id = u.id)\n"
 "        Filter: ISNULL(o.note)\n"
 "        ->  Gather on 4 shards\n"
 "              ->  Seq Scan on orders o\n"
 "        ->  Gather on 4 shards\n"
 "              ->  Seq Scan on users u"},
{4,
 "select a.oid, (select b.num from sysb b where b.oid = a.oid and b.num = 1) from sysa a where exists (select 1 from sysb c where c.parent = a.oid) order by 1",
 "Gather on shard 0\n"
 "  ->  Sort\n"
 "        Sort Key: a.oid\n"
 "        ->  Hash Semi Join\n"
 "              Hash Cond: (a.oid = c.parent)\n"
 "              ->  Seq Scan on sysa a\n"
 "              ->  Seq Scan on sysb c\n"
 "              SubPlan 1\n"
 "                ->  Index Scan using sysb_pkey on sysb b\n"
 "                      Index Cond: ((b.oid = a.oid) AND (b.num = 1))"},
{4,
 "select pg_get_userbyid(a.relowner), a.relname from sysa a where pg_table_is_visible(a.oid) and a.relname ~ '^(x)$' order by 2",
 "Sort\n"
 "  Sort Key: relname\n"
 "  ->  Result\n"
 "        ->  Result\n"
 "              Filter: (pg_table_is_visible(oid))\n"
 "              ->  Gather on shard 0\n"
 "                    ->  Seq Scan on sysa a\n"
 "                          Filter: (relname ~ ^(x)$)"},
{4,
 "select a.relname, case when a.oid = 1 then 'x' else (select string_agg(b.num::text, ',') from sysb b where b.parent = a.oid) end from sysa a left join sysb b on b.oid = a.oid left join sysa c on c.oid = b.parent where a.oid = $1",
 "Gather on shard 0\n"
 "  ->  Nested Loop Left Join\n"
 "        ->  Nested Loop Left Join\n"
 "              ->  Index Scan using sysa_pkey on sysa a\n"
 "                    Index Cond: (a.oid = $1)\n"
 "              ->  Index Scan using sysb_pkey on sysb b\n"
 "                    Index Cond: (b.oid = a.oid)\n"
 "                    Filter: (b.oid = $1)\n"
 "        ->  Index Scan using sysa_pkey on sysa c\n"
 "              Index Cond: (c.oid = b.parent)\n"
 "        SubPlan 1\n"
 "          ->  Aggregate\n"
 "              ->  Seq Scan on sysb b\n"
 "                    Filter: (b.parent = a.oid)"},
{4,
 "select u.name from users u where u.id in (select b.user_id from baskets b where b.what = u.name)",
 "Gather on 4 shards\n"
 "  ->  Hash Semi Join\n"
 "        Hash Cond: ((u.name = b.what) AND (u.id = b.user_id))\n"
 "        ->  Seq Scan on users u\n"
 "        ->  Seq Scan on baskets b"},
{4,
 "select u.name from users u where u.id = any($1)",
 "Gather on 4 shards\n"
 "  ->  Index Scan using users_pkey on users u\n"
 "        Index Cond: (id = ANY ($1))"},
{4,
 "select user_id, count(*) from baskets group by user_id order by user_id limit 3",
 "Limit\n"
 "  ->  Gather Merge on 4 shards\n"
 "        Sort Key: user_id\n"
 "        ->  Limit\n"
 "              ->  Sort\n"
 "                    Sort Key: user_id\n"
 "                    ->  HashAggregate\n"
 "                          Group Key: user_id\n"
 "                          ->  Seq Scan on baskets"},
{4,
 "select u.name, x.c from users u join (select user_id, count(*) c from baskets group by user_id) x on x.user_id = u.id",
 "Gather on 4 shards\n"
 "  ->  Hash Join\n"
 "        Hash Cond: (u.id = baskets.user_id)\n"
 "        ->  Seq Scan on users u\n"
 "        ->  HashAggregate\n"
 "              Group Key: baskets.user_id\n"
 "              ->  Seq Scan on baskets"},
{4,
 "select x.a + 1 from (select id a, name from users limit 5) x where x.a > 3",
 "Result\n"
 "  Filter: (id > 3)\n"
 "  ->  Limit\n"
 "        ->  Gather on 4 shards\n"
 "              ->  Limit\n"
 "                    ->  Seq Scan on users"},
{4,
 "select 1 where exists (select 1 from users)",
 "Result\n"
 "  One-Time Filter: (SubPlan 1)\n"
 "  InitPlan 1\n"
 "    ->  Gather on 4 shards\n"
 "        ->  Seq Scan on users"},
{4,
 "select id, exists (select 1 from orders where user_id = users.id) from users where id = 4",
 "Result\n"
 "  ->  Gather on shard by key\n"
 "        Shard Key: 4\n"
 "        ->  Index Scan using users_pkey on users\n"
 "              Index Cond: (users.id = 4)\n"
 "  SubPlan 1\n"
 "    ->  Gather on 4 shards\n"
 "        ->  Seq Scan on orders\n"
 "              Filter: (orders.user_id = users.id)"},
{4,
 "delete from users u using baskets b where b.user_id = u.id and b.what = 'x'",
 "Gather on 4 shards\n"
 "  ->  Delete on users u\n"
 "        ->  Hash Join\n"
 "              Hash Cond: (u.id = b.user_id)\n"
 "              ->  Seq Scan on users u\n"
 "              ->  Seq Scan on baskets b\n"
 "                    Filter: (b.what = x)"},
{4,
 "delete from users where id in (select user_id from baskets where what = 'x')",
 "Gather on 4 shards\n"
 "  ->  Delete on users\n"
 "        ->  Hash Semi Join\n"
 "              Hash Cond: (users.id = baskets.user_id)\n"
 "              ->  Seq Scan on users\n"
 "              ->  Seq Scan on baskets\n"
 "                    Filter: (baskets.what = x)"},
{4,
 "update orders set total = total + (select max(total) from orders) where id = 3",
 "Gather on shard by key\n"
 "  Shard Key: 3\n"
 "  ->  Update on orders\n"
 "        ->  Index Scan using orders_pkey on orders\n"
 "              Index Cond: (orders.id = 3)\n"
 "  InitPlan 1 (returns $0)\n"
 "    ->  Finalize Aggregate\n"
 "        ->  Gather on 4 shards\n"
 "              ->  Partial Aggregate\n"
 "                    ->  Seq Scan on orders"},
{4,
 "insert into users (id, name) values (1, 'a') on conflict (id) do update set name = excluded.name where users.name <> excluded.name",
 "Gather on shard by key\n"
 "  Shard Key: 1\n"
 "  ->  Insert on users\n"
 "        ->  Result"},
{4,
 "select a.id from users a, users b, orders c where a.id = b.id and c.user_id = b.id and a.id = 10",
 "Nested Loop\n"
 "  ->  Gather on shard by key\n"
 "        Shard Key: 10\n"
 "        ->  Nested Loop\n"
 "              ->  Index Scan using users_pkey on users a\n"
 "                    Index Cond: (a.id = 10)\n"
 "              ->  Index Scan using users_pkey on users b\n"
 "                    Index Cond: (b.id = 10)\n"
 "  ->  Gather on 4 shards\n"
 "        ->  Seq Scan on orders c\n"
 "              Filter: (c.user_id = 10)"},
{4,
 "select generate_series(1, id), upper(name) from users where id = 2 order by 1 limit 4",
 "Gather on shard by key\n"
 "  Shard Key: 2\n"
 "  ->  Limit\n"
 "        ->  Sort\n"
 "              Sort Key: (generate_series(1, id))\n"
 "              ->  ProjectSet\n"
 "                    ->  Index Scan using users_pkey on users\n"
 "                          Index Cond: (id = 2)"},
{4,
 "select grouping(user_id), user_id, sum(line) from baskets group by cube (user_id) having sum(line) > 3",
 "HashAggregate\n"
 "  Group Key: user_id\n"
 "  Filter: (sum(line) > 3)\n"
 "  ->  Gather on 4 shards\n"
 "        ->  Seq Scan on baskets"},
{4,
 "select * from users where id between 5 and 10 and id is not null",
 "Gather on 4 shards\n"
 "  ->  Index Scan using users_pkey on users\n"
 "        Index Cond: ((id >= 5) AND (id <= 10))\n"
 "        Filter: NOTNULL(id)"},
{4,
 "select count(*) from colours",
 "Gather on home shard\n"
 "  ->  Aggregate\n"
 "        ->  Seq Scan on colours"},
{4,
 "select u.* from users u join lateral (select max(total) m from orders o where o.user_id = u.id) x on x.m > 5",
 "Nested Loop\n"
 "  ->  Gather on 4 shards\n"
 "        ->  Seq Scan on users u\n"
 "  ->  Result\n"
 "        Filter: (max(o.total) > 5)\n"
 "        ->  Finalize Aggregate\n"
 "              ->  Gather on 4 shards\n"
 "                    ->  Partial Aggregate\n"
 "                          ->  Seq Scan on orders o\n"
 "                                Filter: (o.user_id = u.id)"},
{4,
 "select coalesce(u.id, o.id) from users u full join orders o using (id) where o.total > 1",
 "Gather on 4 shards\n"
 "  ->  Hash Left Join\n"
 "        Hash Cond: (o.id = u.id)\n"
 "        ->  Seq Scan on orders o\n"
 "              Filter: (o.total > 1)\n"
 "        ->  Seq Scan on users u"},
{4,
 "with recursive t as (select id, user_id from orders where id = 1 union select o.id, o.user_id from orders o join t on o.user_id = t.id) select count(*) from t",
 "Aggregate\n"
 "  ->  CTE Scan on t\n"
 "  CTE t\n"
 "    ->  Recursive Union\n"
 "        ->  Gather on shard by key\n"
 "              Shard Key: 1\n"
 "              ->  Index Scan using orders_pkey on orders\n"
 "                    Index Cond: (orders.id = 1)\n"
 "        ->  Hash Join\n"
 "              Hash Cond: (o.user_id = t.id)\n"
 "              ->  Gather on 4 shards\n"
 "                    ->  Seq Scan on orders o\n"
 "              ->  WorkTable Scan on t"},
{4,
 "select u.id from users u where (select count(*) from orders o where o.user_id = u.id) > (select avg(line) from baskets)",
 "Result\n"
 "  Filter: (numeric((SubPlan 1)) > (SubPlan 2))\n"
 "  ->  Gather on 4 shards\n"
 "        ->  Seq Scan on users u\n"
 "  SubPlan 1\n"
 "    ->  Finalize Aggregate\n"
 "        ->  Gather on 4 shards\n"
 "              ->  Partial Aggregate\n"
 "                    ->  Seq Scan on orders o\n"
 "                          Filter: (o.user_id = u.id)\n"
 "  InitPlan 2\n"
 "    ->  Finalize Aggregate\n"
 "        ->  Gather on 4 shards\n"
 "              ->  Partial Aggregate\n"
 "                    ->  Seq Scan on baskets"},
{4,
 "select u from users u where id = 3",
 "Gather on shard by key\n"
 "  Shard Key: 3\n"
 "  ->  Index Scan using users_pkey on users u\n"
 "        Index Cond: (id = 3)"},
{4,
 "select ctid from users",
 "!0A000 the system column \"ctid\" is not supported yet"},
{4,
 "select sum(x) over () from (values (1)) v(x)",
 "Result\n"
"  ->  WindowAgg\n"
"        ->  Values Scan on \"*VALUES*\""},
{4,
"select rank() over (partition by id order by name), count(*) over (order by name) from users",
"Result\n"
"  ->  WindowAgg\n"
"        ->  Sort\n"
"              Sort Key: name\n"
"              ->  WindowAgg\n"
"                    ->  Gather Merge on 4 shards\n"
"                          Sort Key: id, name\n"
"                          ->  Sort\n"
"                                Sort Key: id, name\n"
"                                ->  Seq Scan on users"},
{4,
"select rank() over (partition by id order by name) from users",
"Gather on 4 shards\n"
"  ->  Result\n"
"        ->  WindowAgg\n"
"              ->  Sort\n"
"                    Sort Key: id, name\n"
"                    ->  Seq Scan on users"},
{4,
 "select a.id from users a where not exists (select 1 from users b where b.id = a.id and not exists (select 1 from orders c where c.user_id = b.id))",
 "Hash Anti Join\n"
 "  Hash Cond: (a.id = b.id)\n"
 "  ->  Gather on 4 shards\n"
 "        ->  Seq Scan on users a\n"
 "  ->  Hash Anti Join\n"
 "        Hash Cond: (b.id = c.user_id)\n"
 "        ->  Gather on 4 shards\n"
 "              ->  Seq Scan on users b\n"
 "        ->  Gather on 4 shards\n"
 "              ->  Seq Scan on orders c"},
{4,
 "select (select x.a) from (select id a from users where id = 1) x",
 "Gather on shard by key\n"
 "  Shard Key: 1\n"
 "  ->  Index Scan using users_pkey on users\n"
 "        Index Cond: (id = 1)\n"
 "        SubPlan 1\n"
 "          ->  Result"},
{4,
 "select name, count(*) from users group by id",
 "Gather on 4 shards\n"
 "  ->  HashAggregate\n"
 "        Group Key: id, name\n"
 "        ->  Seq Scan on users"},
{4,
 "update users set name = 'x' where false",
 "Update on users\n"
 "  ->  Result\n"
 "        One-Time Filter: f"},
{4,
 "select id from users where false for update",
 "Result\n"
 "  One-Time Filter: f"},
{4,
 "select id from users order by id limit $1 offset $2",
 "Limit\n"
 "  ->  Gather Merge on 4 shards\n"
 "        Sort Key: id\n"
 "        ->  Limit\n"
 "              ->  Index Scan using users_pkey on users"},
{4,
 "select * from (select id from users union all select user_id from orders) x where id > 3 order by 1 limit 2",
 "Limit\n"
 "  ->  Sort\n"
 "        Sort Key: users.id\n"
 "        ->  Result\n"
 "              Filter: (users.id > 3)\n"
 "              ->  Append\n"
 "                    ->  Gather on 4 shards\n"
 "                          ->  Seq Scan on users\n"
 "                    ->  Gather on 4 shards\n"
 "                          ->  Seq Scan on orders"},
{4,
 "select 1 from users a join users b on a.id=b.id join users c on c.id=b.id join users d on d.id=c.id join users e on e.id=d.id join users f on f.id=e.id join users g on g.id=f.id join users h on h.id=g.id join users i on i.id=h.id join users j on j.id=i.id join users k on k.id=j.id join users l on l.id=k.id where a.id = 1",
 "Gather on shard by key\n"
 "  Shard Key: 1\n"
 "  ->  Nested Loop\n"
 "        ->  Nested Loop\n"
 "              ->  Nested Loop\n"
 "                    ->  Nested Loop\n"
 "                          ->  Nested Loop\n"
 "                                ->  Nested Loop\n"
 "                                      ->  Nested Loop\n"
 "                                            ->  Nested Loop\n"
 "                                                  ->  Nested Loop\n"
 "                                                        ->  Nested Loop\n"
 "                                                              ->  Nested Loop\n"
 "                                                                    ->  Index Scan using users_pkey on users a\n"
 "                                                                          Index Cond: (a.id = 1)\n"
 "                                                                    ->  Index Scan using users_pkey on users b\n"
 "                                                                          Index Cond: (b.id = 1)\n"
 "                                                              ->  Index Scan using users_pkey on users l\n"
 "                                                                    Index Cond: (l.id = 1)\n"
 "                                                        ->  Index Scan using users_pkey on users k\n"
 "                                                              Index Cond: (k.id = 1)\n"
 "                                                  ->  Index Scan using users_pkey on users j\n"
 "                                                        Index Cond: (j.id = 1)\n"
 "                                            ->  Index Scan using users_pkey on users i\n"
 "                                                  Index Cond: (i.id = 1)\n"
 "                                      ->  Index Scan using users_pkey on users h\n"
 "                                            Index Cond: (h.id = 1)\n"
 "                                ->  Index Scan using users_pkey on users g\n"
 "                                      Index Cond: (g.id = 1)\n"
 "                          ->  Index Scan using users_pkey on users f\n"
 "                                Index Cond: (f.id = 1)\n"
 "                    ->  Index Scan using users_pkey on users e\n"
 "                          Index Cond: (e.id = 1)\n"
 "              ->  Index Scan using users_pkey on users d\n"
 "                    Index Cond: (d.id = 1)\n"
 "        ->  Index Scan using users_pkey on users c\n"
 "              Index Cond: (c.id = 1)"},
{4,
 "select count(*) from (select distinct user_id from orders) x",
 "Aggregate\n"
 "  ->  HashAggregate\n"
 "        Group Key: user_id\n"
 "        ->  Gather on 4 shards\n"
 "              ->  HashAggregate\n"
 "                    Group Key: user_id\n"
 "                    ->  Seq Scan on orders"},
{4,
 "select id from users order by random() limit 1",
 "Result\n"
 "  ->  Limit\n"
 "        ->  Gather Merge on 4 shards\n"
 "              Sort Key: random()\n"
 "              ->  Limit\n"
 "                    ->  Sort\n"
 "                          Sort Key: random()\n"
 "                          ->  Seq Scan on users"},
{4,
 "delete from colours",
 "Gather on 4 shards\n"
 "  ->  Delete on colours\n"
 "        ->  Seq Scan on colours"},
{4,
 "delete from sysa where oid = 3 returning *",
 "Gather on shard 0\n"
 "  ->  Delete on sysa\n"
 "        ->  Index Scan using sysa_pkey on sysa\n"
 "              Index Cond: (oid = 3)"},
{4,
 "insert into logs values (now(), 'x')",
 "Insert on logs\n"
 "  ->  Result"},
{4,
 "insert into orders (id, user_id) select id, id from users where id = 5 returning id",
 "Insert on orders\n"
 "  ->  Gather on shard by key\n"
 "        Shard Key: 5\n"
 "        ->  Index Scan using users_pkey on users\n"
 "              Index Cond: (id = 5)"},
{4,
 "with a as (select 1 x), b as (select x + 1 y from a) select * from a, b",
 "Nested Loop\n"
 "  ->  CTE Scan on a\n"
 "  ->  CTE Scan on a\n"
 "  CTE a\n"
 "    ->  Result"},
{4,
 "select u.id from users u where exists (select 1 from orders limit 1) and u.name = 'k'",
 "Gather on 4 shards\n"
 "  ->  Result\n"
 "        Filter: $0\n"
 "        ->  Seq Scan on users u\n"
 "              Filter: (u.name = k)\n"
 "  InitPlan 1 (returns $0)\n"
 "    ->  Limit\n"
 "        ->  Gather on 4 shards\n"
 "              ->  Limit\n"
 "                    ->  Seq Scan on orders"},
{4,
 "select o.id from orders o join (values (1), (2)) v(x) on o.id = v.x",
 "Gather on 4 shards\n"
 "  ->  Nested Loop\n"
 "        ->  Values Scan on \"*VALUES*\"\n"
 "        ->  Index Scan using orders_pkey on orders o\n"
 "              Index Cond: (o.id = \"*VALUES*\".column1)"},
{4,
 "select a.relname from sysa a union select relname from sysa order by 1",
 "Gather on shard 0\n"
 "  ->  Sort\n"
 "        Sort Key: a.relname\n"
 "        ->  HashAggregate\n"
 "              Group Key: a.relname\n"
 "              ->  Append\n"
 "                    ->  Seq Scan on sysa a\n"
 "                    ->  Seq Scan on sysa"},
{4,
 "select array(select b.num from sysb b where b.oid = a.oid) from sysa a where a.oid = 5",
 "Gather on shard 0\n"
 "  ->  Index Scan using sysa_pkey on sysa a\n"
 "        Index Cond: (a.oid = 5)\n"
 "        SubPlan 1\n"
 "          ->  Index Scan using sysb_pkey on sysb b\n"
 "                Index Cond: (b.oid = a.oid)"},
{4,
 "select u.name from users u left join orders o using (id) group by u.name order by count(o.id) desc, u.name",
 "Result\n"
 "  ->  Sort\n"
 "        Sort Key: count(o.id) DESC, u.name\n"
 "        ->  Finalize HashAggregate\n"
 "              Group Key: u.name\n"
 "              ->  Gather on 4 shards\n"
 "                    ->  Partial HashAggregate\n"
 "                          Group Key: u.name\n"
 "                          ->  Hash Right Join\n"
 "                                Hash Cond: (o.id = u.id)\n"
 "                                ->  Seq Scan on orders o\n"
 "                                ->  Seq Scan on users u"},
    /* clang-format on */
