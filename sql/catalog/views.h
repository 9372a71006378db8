/* SQL texts of the system views that are queries over the catalogs; written for this project. */
#ifndef SQL_CATALOG_VIEWS_H
#define SQL_CATALOG_VIEWS_H

/* NULL: not such a view (its rows come from a producer, or it is not built). */
const char *views_system_sql(const char *name);

/* Views of information_schema: columns as "name:type ..."; ends with a row whose name is NULL. */
struct information_view {
    unsigned oid;
    const char *name;
    const char *columns;
    const char *sql;
};
extern const struct information_view information_views[];

#endif
