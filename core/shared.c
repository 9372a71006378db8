/* The shared words; see shared.h. */
#include "core/shared.h"

struct shared_words shared_words;

static void raise_to(_Atomic uint64_t *word, uint64_t value)
{
    uint64_t now = atomic_load(word);
    while (now < value && !atomic_compare_exchange_weak(word, &now, value)) {
    }
}

void shared_commit_raise(uint64_t value)
{
    raise_to(&shared_words.commit_counter, value);
}

void shared_transaction_raise(uint64_t value)
{
    raise_to(&shared_words.transaction_counter, value);
}

uint64_t shared_oldest_min(void)
{
    enum { ROUNDS_MAX = 8 };
    for (int round = 0; round < ROUNDS_MAX; round++) {
        uint64_t moves = shared_snapshot_moves();
        uint64_t oldest = shared_commit_read();
        for (uint32_t i = 0; i < core_count(); i++)
            oldest = MIN(oldest, shared_oldest_read(i));
        if (shared_snapshot_moves() == moves)
            return oldest;
    }
    return 0;
}
