/* What all workloads need: connections that come back, transactions whose fate is noted. */
#include "tests/sim/sim.h"

#include <stdlib.h>
#include <string.h>

struct client *work_client_wait(struct client *c, enum answer last)
{
    if (c != NULL && last != LOST && !controller_work_is_over() && sim_below(200) != 0)
        return c;
    if (c != NULL) {
        if (sim_below(2) == 0)
            client_break(c);
        else
            client_close_wait(c);
    }
    while (!controller_work_is_over()) {
        c = client_open_wait();
        if (c != NULL)
            return c;
        ERR_IGNORE(fiber_sleep_wait(500));
    }
    return NULL;
}

enum answer work_begin_wait(struct client *c, enum sim_isolation level)
{
    static const char *const names[] = {"READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"};
    return client_query_wait(c, "BEGIN ISOLATION LEVEL %s", names[level]);
}

enum answer work_single(enum fate *fate, enum answer a)
{
    if (a == DONE) {
        *fate = FATE_COMMITTED;
        run->commits++;
    } else if (a == FAILED) {
        *fate = FATE_ABORTED;
    } else {
        run->unknown_commits++;
    }
    return a;
}

SUSPENDS static enum answer commit_wait(struct client *c, enum fate *fate, bool may_be_twice)
{
    *fate = FATE_UNKNOWN;
    enum answer a;
    if (sim_below(40) == 0) {
        /* A cancel that may come at any moment of it. */
        a = LOST;
        if (client_send_query(c, "COMMIT")) {
            ERR_IGNORE(fiber_sleep_wait(sim_below(500)));
            client_cancel_wait(c);
            a = client_finish_wait(c);
        }
        a = work_single(fate, a);
    } else {
        a = work_single(fate, client_query_wait(c, "COMMIT"));
    }
    if (a == DONE && strcmp(client_tag(c), "COMMIT") != 0)
        *fate = FATE_ABORTED;
    if (a == FAILED && !(may_be_twice && strcmp(client_sqlstate(c), "23505") == 0))
        sim_expect_error(c, "COMMIT");
    return a;
}

enum answer work_commit_wait(struct client *c, enum fate *fate)
{
    return commit_wait(c, fate, false);
}

enum answer work_commit_keys_wait(struct client *c, enum fate *fate)
{
    return commit_wait(c, fate, true);
}

enum answer work_rollback_wait(struct client *c)
{
    enum answer a = client_query_wait(c, "ROLLBACK");
    if (a == FAILED)
        sim_expect_error(c, "ROLLBACK");
    return a;
}

void work_checkpoints_wait(void)
{
    struct client *c = NULL;
    enum answer a = LOST;
    while ((c = work_client_wait(c, a)) != NULL) {
        a = client_query_wait(c, "CHECKPOINT");
        if (a == FAILED)
            sim_expect_error(c, "CHECKPOINT");
        if (run->life.checkpoint_pause_us != 0)
            ERR_IGNORE(fiber_sleep_wait(io_sim_random(run->life.checkpoint_pause_us)));
    }
}

/* Damage was found and told: that is all a rotten disk can give. */
NO_SUSPEND_ANALYSIS static void end_if_rotten(const struct client *c)
{
    const char *state = client_sqlstate(c);
    if (!run->life.is_rotten || strncmp(state, "XX00", 4) != 0)
        return;
    sim_note("found: %s", client_message(c));
    io_sim_power_loss(); /* does not return */
}

void verify_query_wait(struct client *c, const char *format, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, format);
    int n = vasprintf(&text, format, args);
    va_end(args);
    ASSERT(n >= 0);
    enum answer a = client_query_wait(c, "%s", text);
    if (a == FAILED)
        end_if_rotten(c);
    SIM_CHECK(a != FAILED, "verifying: %s failed: %s %s", text, client_sqlstate(c),
              client_message(c));
    SIM_CHECK(a != LOST, "verifying: the connection was lost in %s", text);
    free(text);
}
