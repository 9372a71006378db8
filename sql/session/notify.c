/*
 * LISTEN, UNLISTEN and NOTIFY of a session.
 *
 * All three take effect when their transaction commits. Until then they are remembered in order, in
 * the transaction's memory, and a rollback (to a savepoint) cuts the lists. Equal notifications of
 * a transaction are folded into the first.
 *
 * A session is told of batches that came to its core by a pointer to the first one it has not seen.
 * It sees them when it is outside a transaction: before ReadyForQuery, or at once while it is idle
 * (net starts a fiber then). Which notifications of a batch it gets is decided at that moment by
 * what it listens to.
 */
#include "sql/session/notify.h"

#include "sql/session/session_priv.h"
#include "sql/types/hash.h"

enum { FOLD_TABLE_FROM = 16, LIST_ROOM_FIRST = 8 };

struct notification {
    const char *channel;
    const char *payload;
};

struct listen_action {
    bool is_listen;
    const char *name;            /* NULL: UNLISTEN * */
    struct notify_channel *held; /* from before the commit until it is settled */
};

/* What a session has not seen yet and took along to another core. */
struct carried {
    struct carried *next;
    uint32_t pid;
    const char *channel;
    const char *payload;
    char text[];
};

/* Belongs to the session's core; while the session is on its way, to the one that it goes to. */
struct notify_session {
    struct session *session; /* NULL while it is made ready on the core that it comes to */
    struct listening *first; /* in order of LISTEN */
    struct listening *last;
    struct notify_arrival *unseen;
    uint64_t after_slot;     /* of the desk: batches up to it were for the core it came from */
    struct carried *carried; /* seen before anything else */
    /* of the running transaction, in block_mem */
    struct notification *notifications;
    uint32_t notification_count;
    uint32_t notification_room;
    struct listen_action *actions;
    uint32_t action_count;
    uint32_t action_room;
    uint32_t *folds; /* hash table of places + 1 in notifications; NULL: not made */
    uint32_t fold_mask;
    struct notify_batch *batch; /* reserved, while committing */
};

static struct notify_session *notify_of(struct session *s)
{
    if (!s->notify) {
        s->notify = core_zalloc(sizeof(*s->notify));
        s->notify->session = s;
    }
    return s->notify;
}

/* ---- in the transaction ---- */

static void *list_room(struct arena *mem, void *list, uint32_t count, uint32_t *room, size_t bytes)
{
    if (count < *room)
        return list;
    uint32_t more = *room ? *room * 2 : LIST_ROOM_FIRST;
    void *bigger = arena_zalloc(mem, bytes * more);
    if (count)
        memcpy(bigger, list, bytes * count);
    *room = more;
    return bigger;
}

static void notify_action(struct session *s, bool is_listen, const char *channel)
{
    struct notify_session *n = notify_of(s);
    n->actions =
        list_room(s->block_mem, n->actions, n->action_count, &n->action_room, sizeof(*n->actions));
    n->actions[n->action_count++] = (struct listen_action){
        .is_listen = is_listen,
        .name = channel ? arena_strdup(s->block_mem, channel) : NULL,
    };
}

void notify_listen(struct session *s, const char *channel)
{
    notify_action(s, true, channel);
}

void notify_unlisten(struct session *s, const char *channel)
{
    if (s->notify && (s->notify->first || s->notify->action_count > 0))
        notify_action(s, false, channel);
}

static uint64_t fold_hash(const char *channel, const char *payload)
{
    return hash_combine(hash_bytes(channel, strlen(channel)), hash_bytes(payload, strlen(payload)));
}

static bool notification_is(const struct notification *n, const char *channel, const char *payload)
{
    return strcmp(n->channel, channel) == 0 && strcmp(n->payload, payload) == 0;
}

static void fold_add(struct notify_session *n, uint32_t place)
{
    const struct notification *x = &n->notifications[place];
    uint64_t i = fold_hash(x->channel, x->payload) & n->fold_mask;
    while (n->folds[i])
        i = (i + 1) & n->fold_mask;
    n->folds[i] = place + 1;
}

static void fold_make(struct session *s, struct notify_session *n)
{
    uint32_t size = FOLD_TABLE_FROM * 4;
    while (size < n->notification_count * 4)
        size *= 2;
    n->folds = ARENA_ARRAY(s->block_mem, uint32_t, size);
    n->fold_mask = size - 1;
    for (uint32_t i = 0; i < n->notification_count; i++)
        fold_add(n, i);
}

static bool notify_was_sent(struct session *s, const char *channel, const char *payload)
{
    struct notify_session *n = s->notify;
    if (n->notification_count < FOLD_TABLE_FROM) {
        for (uint32_t i = 0; i < n->notification_count; i++) {
            if (notification_is(&n->notifications[i], channel, payload))
                return true;
        }
        return false;
    }
    if (!n->folds || n->notification_count * 2 > n->fold_mask)
        fold_make(s, n);
    uint64_t i = fold_hash(channel, payload) & n->fold_mask;
    for (; n->folds[i]; i = (i + 1) & n->fold_mask) {
        if (notification_is(&n->notifications[n->folds[i] - 1], channel, payload))
            return true;
    }
    return false;
}

err_t notify_send(struct session *s, const char *channel, const char *payload)
{
    if (channel[0] == '\0')
        return err_raise(ERR_INVALID_PARAMETER_VALUE, "channel name cannot be empty");
    if (strlen(channel) > NOTIFY_CHANNEL_BYTES_MAX)
        return err_raise(ERR_INVALID_PARAMETER_VALUE, "channel name too long");
    if (strlen(payload) > NOTIFY_PAYLOAD_BYTES_MAX)
        return err_raise(ERR_INVALID_PARAMETER_VALUE, "payload string too long");
    struct notify_session *n = notify_of(s);
    if (notify_was_sent(s, channel, payload))
        return ERR_OK;
    void *text; /* as large as the client likes, all in all: within the core's budget */
    size_t channel_bytes = strlen(channel) + 1;
    size_t payload_bytes = strlen(payload) + 1;
    TRY(arena_alloc_try(s->block_mem, channel_bytes + payload_bytes, &text));
    memcpy(text, channel, channel_bytes);
    memcpy((char *)text + channel_bytes, payload, payload_bytes);
    n->notifications = list_room(s->block_mem, n->notifications, n->notification_count,
                                 &n->notification_room, sizeof(*n->notifications));
    n->notifications[n->notification_count++] = (struct notification){
        .channel = text,
        .payload = (char *)text + channel_bytes,
    };
    if (n->folds)
        fold_add(n, n->notification_count - 1);
    return ERR_OK;
}

bool notify_is_pending(const struct session *s)
{
    return s->notify && (s->notify->notification_count > 0 || s->notify->action_count > 0);
}

struct notify_mark notify_mark(const struct session *s)
{
    if (!s->notify)
        return (struct notify_mark){0};
    return (struct notify_mark){s->notify->notification_count, s->notify->action_count};
}

void notify_rollback_to(struct session *s, struct notify_mark mark)
{
    struct notify_session *n = s->notify;
    if (!n)
        return;
    ASSERT(mark.notifications <= n->notification_count && mark.actions <= n->action_count);
    n->notification_count = mark.notifications;
    n->action_count = mark.actions;
    n->folds = NULL;
}

/* The transaction's lists are over; a session that neither listens nor has anything unseen keeps
 * nothing. */
static void notify_settle(struct session *s)
{
    struct notify_session *n = s->notify;
    n->notifications = NULL;
    n->notification_count = n->notification_room = 0;
    n->actions = NULL;
    n->action_count = n->action_room = 0;
    n->folds = NULL;
    if (n->first || n->unseen || n->carried)
        return;
    core_free(n);
    s->notify = NULL;
}

void notify_abort(struct session *s)
{
    if (s->notify)
        notify_settle(s);
}

/* ---- at the commit ---- */

static SUSPENDS err_t notify_reserve_all_wait(struct session *s)
{
    struct notify_session *n = s->notify;
    size_t bytes = sizeof(struct notify_batch);
    for (uint32_t i = 0; i < n->notification_count; i++)
        bytes += strlen(n->notifications[i].channel) + strlen(n->notifications[i].payload) + 2;
    if (bytes > NOTIFY_QUEUE_BYTES_MAX)
        return err_raise(ERR_PROGRAM_LIMIT_EXCEEDED, "too many notifications in the NOTIFY queue");
    struct notify_batch *b = core_zalloc(bytes);
    b->home = core_id();
    b->desk = notify_desk_of(s->catalog.database);
    b->database = s->catalog.database;
    b->pid = s->pid;
    b->count = n->notification_count;
    b->bytes = u32_from(bytes);
    char *p = b->text;
    for (uint32_t i = 0; i < n->notification_count; i++) {
        p = stpcpy(p, n->notifications[i].channel) + 1;
        p = stpcpy(p, n->notifications[i].payload) + 1;
    }
    err_t e = notify_reserve_wait(b);
    if (e == ERR_OK)
        n->batch = b;
    else
        core_free(b);
    return e;
}

SUSPENDS err_t notify_before_commit_wait(struct session *s)
{
    struct notify_session *n = s->notify;
    if (!notify_is_pending(s))
        return ERR_OK;
    for (uint32_t i = 0; i < n->action_count; i++) {
        if (n->actions[i].is_listen)
            n->actions[i].held = notify_channel_hold_wait(s->catalog.database, n->actions[i].name);
    }
    return n->notification_count > 0 ? notify_reserve_all_wait(s) : ERR_OK;
}

static struct listening *session_listening(struct session *s, const char *channel)
{
    struct notify_channel *c = notify_channel_find(s->catalog.database, channel);
    return c && s->notify ? listening_find(s->notify, c) : NULL;
}

static void session_unlisten(struct notify_session *n, struct listening *l)
{
    if (l->session_prev)
        l->session_prev->session_next = l->session_next;
    else
        n->first = l->session_next;
    if (l->session_next)
        l->session_next->session_prev = l->session_prev;
    else
        n->last = l->session_prev;
    listening_remove(l);
}

static void session_listen(struct notify_session *n, struct notify_channel *held)
{
    if (listening_find(n, held)) {
        notify_channel_release(held);
        return;
    }
    struct listening *l = listening_add(n, held);
    l->session_prev = n->last;
    if (n->last)
        n->last->session_next = l;
    else
        n->first = l;
    n->last = l;
}

static void notify_apply(struct session *s, struct listen_action *a)
{
    struct notify_session *n = s->notify;
    if (a->is_listen) {
        session_listen(n, a->held);
        return;
    }
    if (a->name) {
        struct listening *l = session_listening(s, a->name);
        if (l)
            session_unlisten(n, l);
        return;
    }
    while (n->first)
        session_unlisten(n, n->first);
}

static bool notify_hears_itself(struct session *s)
{
    struct notify_session *n = s->notify;
    for (uint32_t i = 0; n->first && i < n->notification_count; i++) {
        if (session_listening(s, n->notifications[i].channel))
            return true;
    }
    return false;
}

SUSPENDS void notify_after_commit_wait(struct session *s, bool is_committed)
{
    struct notify_session *n = s->notify;
    if (!notify_is_pending(s))
        return;
    for (uint32_t i = 0; i < n->action_count; i++) {
        if (is_committed)
            notify_apply(s, &n->actions[i]);
        else if (n->actions[i].held)
            notify_channel_release(n->actions[i].held);
    }
    struct notify_batch *b = n->batch;
    n->batch = NULL;
    if (b) {
        uint32_t desk = b->desk;
        uint64_t slot = b->slot;
        notify_release(b, is_committed);
        /* Its own notifications come before its ReadyForQuery. */
        if (is_committed && notify_hears_itself(s))
            notify_arrived_wait(desk, slot);
    }
    notify_settle(s);
}

/* ---- what came ---- */

void notify_session_arrived(struct notify_session *n, struct notify_arrival *a)
{
    if (n->unseen || a->batch->slot <= n->after_slot)
        return;
    n->unseen = a;
    a->waiters++;
    const struct session *s = n->session;
    if (s && s->block == BLOCK_NONE && s->on_notify)
        s->on_notify(s->on_notify_owner);
}

bool session_has_notifications(const struct session *s)
{
    return s->block == BLOCK_NONE && s->notify && (s->notify->unseen || s->notify->carried);
}

static SUSPENDS err_t notify_show_wait(struct session *s, const struct notify_batch *b)
{
    const char *text = b->text;
    for (uint32_t i = 0; i < b->count; i++) {
        const char *payload = text + strlen(text) + 1;
        if (b->database == s->catalog.database && session_listening(s, text))
            TRY(s->sink->notification(s->sink, b->pid, text, payload));
        text = payload + strlen(payload) + 1;
    }
    return ERR_OK;
}

static SUSPENDS err_t notify_show_carried_wait(struct session *s)
{
    struct carried *c = s->notify->carried;
    s->notify->carried = c->next;
    err_t e = ERR_OK;
    if (session_listening(s, c->channel))
        e = s->sink->notification(s->sink, c->pid, c->channel, c->payload);
    core_free(c);
    return e;
}

SUSPENDS err_t session_notifications_wait(struct session *s)
{
    err_t e = ERR_OK;
    while (e == ERR_OK && session_has_notifications(s)) {
        if (s->notify->carried) {
            e = notify_show_carried_wait(s);
            continue;
        }
        struct notify_arrival *a = s->notify->unseen;
        if (a->batch->slot > s->notify->after_slot)
            e = notify_show_wait(s, a->batch); /* it may wait: a stays, more may come behind it */
        s->notify->unseen = a->next;
        if (a->next)
            a->next->waiters++;
        notify_arrival_leave(a);
    }
    if (s->notify && !notify_is_pending(s))
        notify_settle(s);
    return e;
}

/* ---- to another core ---- */

struct prepare_call {
    const struct notify_session *from;
    oid database;
    struct notify_session *made;
};

static SUSPENDS err_t notify_prepare_call(void *arg)
{
    struct prepare_call *c = arg;
    struct notify_session *n = core_zalloc(sizeof(*n));
    c->made = n;
    for (const struct listening *l = c->from->first; l; l = l->session_next)
        session_listen(n, notify_channel_hold_wait(c->database, l->channel->name));
    return ERR_OK;
}

/* Both cores listen from here on, until the session is at the new one. */
SUSPENDS struct notify_session *notify_prepare_wait(struct session *s, uint32_t to)
{
    if (!s->notify || !s->notify->first)
        return NULL;
    struct prepare_call c = {.from = s->notify, .database = s->catalog.database};
    ERR_IGNORE(core_call_wait(to, notify_prepare_call, &c)); /* never fails */
    return c.made;
}

static void notify_drop(struct notify_session *n)
{
    while (n->first)
        session_unlisten(n, n->first);
    if (n->unseen)
        notify_arrival_leave(n->unseen);
    n->unseen = NULL;
    while (n->carried) {
        struct carried *c = n->carried;
        n->carried = c->next;
        core_free(c);
    }
}

static err_t notify_forget_call(void *arg)
{
    struct notify_session *n = arg;
    notify_drop(n);
    core_free(n);
    return ERR_OK;
}

SUSPENDS void notify_forget_wait(struct notify_session *prepared, uint32_t to)
{
    if (prepared)
        ERR_IGNORE(core_call_wait(to, notify_forget_call, prepared)); /* never fails */
}

SUSPENDS uint64_t notify_caught_up_session_wait(struct session *s)
{
    return notify_caught_up_wait(notify_desk_of(s->catalog.database));
}

/* The rest of what it has not seen, up to the slot, in order. */
static void notify_carry(struct session *s, uint64_t until)
{
    struct notify_session *n = s->notify;
    struct carried **last = &n->carried;
    while (*last)
        last = &(*last)->next;
    for (struct notify_arrival *a = n->unseen; a; a = a->next) {
        const struct notify_batch *b = a->batch;
        const char *text = b->text;
        bool is_its =
            b->database == s->catalog.database && b->slot <= until && b->slot > n->after_slot;
        for (uint32_t i = 0; i < b->count && is_its; i++) {
            size_t channel_bytes = strlen(text) + 1;
            size_t bytes = channel_bytes + strlen(text + channel_bytes) + 1;
            if (session_listening(s, text)) {
                struct carried *c = core_malloc(sizeof(*c) + bytes);
                *c = (struct carried){
                    .pid = b->pid, .channel = c->text, .payload = c->text + channel_bytes};
                memcpy(c->text, text, bytes);
                *last = c;
                last = &c->next;
            }
            text += bytes;
        }
    }
}

void notify_leave(struct session *s, struct notify_session *prepared, uint64_t until)
{
    struct notify_session *n = s->notify;
    if (!n)
        return;
    notify_carry(s, until);
    struct carried *carried = n->carried;
    n->carried = NULL;
    notify_drop(n);
    n->carried = carried;
    if (!prepared) /* it only has things to say, when its transaction commits */
        return;
    /* What lies on the new core was made there; the transaction's lists are in its own memory. */
    prepared->carried = n->carried;
    prepared->after_slot = until;
    prepared->notifications = n->notifications;
    prepared->notification_count = n->notification_count;
    prepared->notification_room = n->notification_room;
    prepared->actions = n->actions;
    prepared->action_count = n->action_count;
    prepared->action_room = n->action_room;
    prepared->folds = n->folds;
    prepared->fold_mask = n->fold_mask;
    core_free(n);
    s->notify = prepared;
}

void notify_join(struct session *s)
{
    if (s->notify)
        s->notify->session = s;
}

/* Pieces that change their core; what was prepared there belongs to it already. */
void notify_memory(struct session *s, void (*piece)(void *p))
{
    struct notify_session *n = s->notify;
    if (!n)
        return;
    if (n->session)
        piece(n);
    for (struct carried *c = n->carried; c; c = c->next)
        piece(c);
}

void session_on_notify(struct session *s, void (*fn)(void *owner), void *owner)
{
    s->on_notify = fn;
    s->on_notify_owner = owner;
}

void notify_unlisten_now(struct session *s)
{
    if (!s->notify)
        return;
    notify_drop(s->notify);
    notify_settle(s);
}

err_t notify_channels(const struct session *s, struct arena *mem, const char *const **names,
                      uint32_t *count)
{
    *count = 0;
    for (struct listening *l = s->notify ? s->notify->first : NULL; l; l = l->session_next)
        ++*count;
    const char **list = ARENA_ARRAY(mem, const char *, *count + 1);
    *names = list;
    for (struct listening *l = s->notify ? s->notify->first : NULL; l; l = l->session_next)
        *list++ = arena_strdup(mem, l->channel->name);
    return ERR_OK;
}
