/* guard.h: files that are cut short while they are mapped.
 *
 * Reading a mapped page that the file no longer has raises SIGBUS, which ends a process. For mappings that are guarded it
 * puts zeros there instead and makes a note; whoever uses the file asks for that note when a piece of work is done. */
#ifndef LCY_GUARD_H
#define LCY_GUARD_H

#include "lcy.h"

/* Guards a mapping of whole pages; its number, or -1 if there are too many. A mapping must be let go before it is unmapped. */
LCY_API int lcy_guard_add(const void *start, size_t bytes);
LCY_API void lcy_guard_remove(int number); /* accepts -1 */


/* 0: bytes of this mapping could not be read, or the last one cannot, and are zeros now. Number -1 counts as whole. */
LCY_API int lcy_guard_whole(int number);

#endif
