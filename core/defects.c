/* See defects.h; nothing here in a usual build. */
#include "core/defects.h"

#include "core/core.h"

#ifdef PERCORE_DEFECTS
enum defect defect_chosen;

bool defect_sometimes(uint32_t one_in)
{
    return core_random_u64() % one_in == 0;
}
#endif
