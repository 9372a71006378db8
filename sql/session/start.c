/* The sql layer as a whole: bootstrap, start, and what authentication asks. */
#include "sql/catalog/virtual.h"
#include "sql/ddl/ddl.h"
#include "sql/funcs/funcs.h"
#include "sql/session/session_priv.h"

SUSPENDS err_t sql_start_wait(const struct sql_options *o)
{
    session_views_register();
    ddl_start();
    funcs_set_start_time(core_wall_us() - INT64_C(946684800000000));
    funcs_set_reload_time(core_wall_us() - INT64_C(946684800000000));
    TRY(exec_temp_clean_wait());
    if (o->bootstrap)
        TRY(catalog_bootstrap_wait(o->superuser, o->password_verifier));
    TRY(catalog_start_wait());
    session_install_checks();
    return ddl_sweep_temporary_wait();
}

SUSPENDS err_t sql_check_wait(void (*problem)(void *owner, const char *database, const char *text),
                              void *owner)
{
    return ddl_check_databases_wait(problem, owner);
}

SUSPENDS err_t sql_find_role_wait(const char *name, const char *database, struct arena *mem,
                                  struct auth_role *out)
{
    const struct login_facts *facts;
    *out = (struct auth_role){0};
    TRY(login_facts_wait(name, database, mem, &facts));
    out->found = facts->has_role;
    if (!out->found)
        return ERR_OK;
    out->superuser = facts->role.superuser;
    out->verifier = facts->role.password ? arena_strdup(mem, facts->role.password) : NULL;
    out->valid_until_us = facts->role.valid_until;
    return ERR_OK;
}
