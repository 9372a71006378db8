/*
 * Snapshots of a core. The commit counter only grows, so a list in order of taking is in order of
 * age: the first is the oldest, and the core publishes it. A core without snapshots publishes a
 * lower bound before it reads the counter (core/shared.h), or purge elsewhere could overtake it.
 */
#include "shard/shard_priv.h"

/* Access: each entry by its core. */
static struct snapshot_list {
    SHARED_LINE struct snapshot *first;
    struct snapshot *last;
} lists[CORE_COUNT_MAX];

void snapshot_take(struct snapshot *s)
{
    ASSERT(!s->is_active);
    uint32_t core = core_id();
    struct snapshot_list *l = &lists[core];
    if (l->first == NULL)
        shared_oldest_publish(core, shared_commit_read());
    s->ts = shared_commit_read();
    s->is_active = true;
    s->next = NULL;
    s->prev = l->last;
    if (l->last != NULL)
        l->last->next = s;
    else
        l->first = s;
    l->last = s;
}

void snapshot_drop(struct snapshot *s)
{
    if (!s->is_active)
        return;
    uint32_t core = core_id();
    struct snapshot_list *l = &lists[core];
    bool was_oldest = s->prev == NULL;
    if (s->prev != NULL)
        s->prev->next = s->next;
    else
        l->first = s->next;
    if (s->next != NULL)
        s->next->prev = s->prev;
    else
        l->last = s->prev;
    s->is_active = false;
    if (was_oldest)
        shared_oldest_publish(core, l->first != NULL ? l->first->ts : UINT64_MAX);
}

void snapshot_copy(struct snapshot *to, struct snapshot *from)
{
    ASSERT(!to->is_active && from->is_active);
    struct snapshot_list *l = &lists[core_id()];
    to->ts = from->ts;
    to->is_active = true;
    to->prev = from;
    to->next = from->next;
    if (from->next != NULL)
        from->next->prev = to;
    else
        l->last = to;
    from->next = to;
}

void snapshot_move(struct snapshot *to, struct snapshot *from)
{
    if (!from->is_active)
        return;
    snapshot_copy(to, from);
    snapshot_drop(from);
}

void snapshots_reset(void)
{
    lists[core_id()] = (struct snapshot_list){0};
    shared_oldest_publish(core_id(), UINT64_MAX);
}
