/* formats.c: every tensor format of formats/, and how to find one by its number. */
#define LCY_REFERENCE
#include "formats_all.h"

#define X(name) &lcy_format_##name,
static const lcy_format *const lcy_formats[] = {
#include "formats.inc"
};
#undef X

const lcy_format *lcy_format_of(int type) {
    for (size_t i = 0; i < sizeof lcy_formats / sizeof lcy_formats[0]; i++)
        if ((int)lcy_formats[i]->type == type) return lcy_formats[i];
    return NULL;
}

size_t lcy_row_bytes(int type, int64_t n) {
    const lcy_format *f = lcy_format_of(type);
    if (!f || n < 0 || n % f->block || n / f->block > INT64_MAX / f->bytes) return 0;
    return (size_t)(n / f->block) * (size_t)f->bytes;
}
