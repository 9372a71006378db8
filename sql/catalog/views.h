/* SQL texts of the system views that are queries over the catalogs; written for this project. */
#ifndef SQL_CATALOG_VIEWS_H
#define SQL_CATALOG_VIEWS_H

/* NULL: not such a view (its rows come from a producer, or it is not built). */
const char *views_system_sql(const char *name);

#endif
