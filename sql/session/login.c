/*
 * Who a session is and what it starts with.
 *
 * The settings session_authorization and role say who: they are transactional like any setting, and
 * identity follows them before the next statement. At login settings of ALTER DATABASE and ALTER
 * ROLE are applied; what the client asks for comes after them.
 */
#include "sql/catalog/privileges.h"
#include "sql/catalog/store.h"
#include "sql/session/session_priv.h"

void login_apply_settings(struct session *s, const struct login_facts *f)
{
    for (uint32_t i = 0; i < f->setting_count; i++) {
        const struct login_setting *one = &f->settings[i];
        ERR_IGNORE(setting_set(s->settings, one->name, one->value, false, true, one->source));
    }
}

/* ---- SET ROLE, SET SESSION AUTHORIZATION ---- */

static bool is_none(const char *role)
{
    return role[0] == '\0' || strcmp(role, "none") == 0;
}

SUSPENDS err_t login_identity_wait(struct session *s, bool *changed)
{
    const char *session_role = setting_string(s->settings, SET_session_authorization);
    const char *role = setting_string(s->settings, SET_role);
    const char *current = is_none(role) ? session_role : role;
    *changed = false;
    if (strcmp(s->env.session_user_name, session_role) == 0 &&
        strcmp(s->env.user_name, current) == 0)
        return ERR_OK;
    struct arena *mem = arena_new();
    struct role_info info = {0};
    bool found = false;
    err_t e = role_by_name_wait(current, mem, &info, &found);
    if (e == ERR_OK && !found)
        e = err_raise(ERR_UNDEFINED_OBJECT, "role \"%s\" does not exist", current);
    if (e == ERR_OK) {
        size_t session_bytes = strlen(session_role) + 1;
        size_t current_bytes = strlen(current) + 1;
        char *names = core_malloc(session_bytes + current_bytes);
        s->env.session_user_name = memcpy(names, session_role, session_bytes);
        s->env.user_name = memcpy(names + session_bytes, current, current_bytes);
        core_free(s->role_names);
        s->role_names = names;
        s->env.user_oid = info.oid;
        s->env.is_superuser = info.superuser;
        s->catalog.user = info.oid;
        s->catalog.user_name = s->env.user_name;
        s->catalog.is_superuser = info.superuser;
        e = setting_force(s->settings, SET_is_superuser, info.superuser ? "on" : "off");
        *changed = true;
    }
    arena_free(mem);
    return e;
}

SUSPENDS err_t login_role_allowed_wait(struct session *s, const char *setting, const char *name)
{
    bool is_session = strcmp(setting, "session_authorization") == 0;
    if (!name || (!is_session && is_none(name)))
        return ERR_OK;
    struct arena *mem = arena_new();
    struct role_info info = {0};
    struct role_info own = {0};
    bool found = false;
    bool own_found = false;
    const char *who = is_session ? s->user : s->env.session_user_name;
    err_t e = role_by_name_wait(name, mem, &info, &found);
    if (e == ERR_OK && !found)
        e = err_raise(ERR_INVALID_PARAMETER_VALUE, "role \"%s\" does not exist", name);
    if (e == ERR_OK)
        e = role_by_name_wait(who, mem, &own, &own_found);
    bool allowed = own.superuser || info.oid == own.oid;
    if (e == ERR_OK && own_found && !allowed && !is_session)
        e = privilege_has_role_wait(&s->catalog, own.oid, info.oid, false, &allowed);
    if (e == ERR_OK && !allowed)
        e = is_session ? err_raise(ERR_INSUFFICIENT_PRIVILEGE,
                                   "permission denied to set session authorization \"%s\"", name)
                       : err_raise(ERR_INSUFFICIENT_PRIVILEGE,
                                   "permission denied to set role \"%s\"", name);
    arena_free(mem);
    return e;
}
