/* Two functions that Debian 12's libexpat and libstdc++ take from glibc 2.36. With these beside them, the bundle runs on
 * glibc 2.35, which is Ubuntu 22.04's. Where glibc has its own, either will do. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/random.h>

void arc4random_buf(void *bytes, size_t size) {
    unsigned char *at = bytes;
    while (size > 0) {
        ssize_t count = getrandom(at, size, 0);
        if (count < 0) continue; /* interrupted by a signal */
        at += count;
        size -= (size_t)count;
    }
}

uint32_t arc4random(void) {
    uint32_t number;
    arc4random_buf(&number, sizeof number);
    return number;
}
