/* Sessions that another one looks for: to cancel or end them, or to know whether a database is in
 * use. Who may do so is decided by the role that the other one logged in as. */
#include "sql/catalog/privileges.h"
#include "sql/catalog/store.h"
#include "sql/session/registry.h"
#include "sql/session/session_priv.h"

enum { ROLE_SIGNAL_BACKEND = 4200 };

static SUSPENDS err_t signal_role_is_super_wait(struct session *s, oid role, bool *yes)
{
    struct catalog_rows rows;
    TRY(catalog_find_wait(&s->catalog, REL_AUTHID, INDEX_AUTHID_OID, 1, role, 0, s->statement,
                          &rows));
    *yes = rows.count > 0 && catalog_bool_value(&rows.rows[0], COL_ROLSUPER);
    return ERR_OK;
}

static SUSPENDS err_t signal_allowed_wait(struct session *s, oid role, bool terminate)
{
    bool is_super;
    bool has_role;
    if (s->catalog.is_superuser)
        return ERR_OK;
    TRY(signal_role_is_super_wait(s, role, &is_super));
    if (is_super)
        return err_raise(ERR_INSUFFICIENT_PRIVILEGE,
                         terminate ? "must be a superuser to terminate superuser process"
                                   : "must be a superuser to cancel superuser query");
    TRY(privilege_has_role_wait(&s->catalog, s->catalog.user, role, true, &has_role));
    if (!has_role)
        TRY(privilege_has_role_wait(&s->catalog, s->catalog.user, ROLE_SIGNAL_BACKEND, true,
                                    &has_role));
    if (!has_role)
        return err_raise(ERR_INSUFFICIENT_PRIVILEGE,
                         "must be a member of the role whose %s or member of pg_signal_backend",
                         terminate ? "process is being terminated" : "query is being canceled");
    return ERR_OK;
}

/* ---- one session ---- */

static void signal_visit_role(void *ctx, struct session *target)
{
    oid *role = ctx;
    *role = target->login_role;
}

static void signal_visit(void *ctx, struct session *target)
{
    const bool *terminate = ctx;
    session_cancel(target, *terminate);
}

SUSPENDS err_t session_signal_wait(struct session *s, uint32_t pid, bool terminate, bool *done)
{
    oid role = OID_NONE;
    TRY(registry_visit_wait(pid, signal_visit_role, &role, done));
    if (*done) {
        TRY(signal_allowed_wait(s, role, terminate));
        TRY(registry_visit_wait(pid, signal_visit, &terminate, done));
    }
    if (!*done)
        return session_notice(s, "WARNING", ERR_WARNING,
                              "PID %u is not a PostgreSQL server process", pid);
    return ERR_OK;
}

/* ---- those in a database ---- */

struct signal_all {
    oid database;
    uint32_t except; /* a pid */
    bool terminate;
    oid *roles; /* else: of whom they are */
    uint32_t count;
    uint32_t room;
};

static void signal_one_of_all(void *ctx, struct session *target)
{
    struct signal_all *a = ctx;
    if (target->catalog.database != a->database || target->pid == a->except)
        return;
    if (a->terminate) {
        session_cancel(target, true);
        return;
    }
    for (uint32_t i = 0; i < a->count; i++)
        if (a->roles[i] == target->login_role)
            return;
    if (a->count == a->room) {
        a->room = a->room ? a->room * 2 : 16;
        a->roles = core_realloc(a->roles, sizeof(oid) * a->room);
    }
    a->roles[a->count++] = target->login_role;
}

static err_t signal_all_call(void *arg)
{
    session_each_local(signal_one_of_all, arg);
    return ERR_OK;
}

static err_t signal_roles_free(void *arg)
{
    struct signal_all *a = arg;
    core_free(a->roles);
    a->roles = NULL;
    return ERR_OK;
}

static SUSPENDS err_t signal_all_allowed_wait(struct session *s, oid database)
{
    for (uint32_t core = 0; core < core_count(); core++) {
        struct signal_all a = {.database = database, .except = s->pid};
        TRY(core_call_wait(core, signal_all_call, &a));
        err_t e = ERR_OK;
        for (uint32_t i = 0; i < a.count && e == ERR_OK; i++)
            e = signal_allowed_wait(s, a.roles[i], true);
        fiber_shield_begin();
        ERR_IGNORE(core_call_wait(core, signal_roles_free, &a));
        fiber_shield_end();
        TRY(e);
    }
    return ERR_OK;
}

SUSPENDS err_t session_database_users_wait(struct session *s, oid database, bool terminate,
                                           uint64_t *count)
{
    *count = 0;
    if (terminate) {
        if (!s->catalog.is_superuser)
            TRY(signal_all_allowed_wait(s, database));
        struct signal_all a = {.database = database, .except = s->pid, .terminate = true};
        for (uint32_t core = 0; core < core_count(); core++)
            TRY(core_call_wait(core, signal_all_call, &a));
    }
    TRY(registry_sessions_of_wait(database, count));
    if (database == s->catalog.database && *count > 0)
        --*count;
    return ERR_OK;
}
