/* Faults at the system calls that change files, for benchmarks/reliability.py, which compiles and preloads this.

   faults_arm(kind, point): count the calls from now on, and do at the call of that number what kind says:
   0 nothing, -1 let it and all later ones that need room find the disk full, else raise the signal of that number. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static int armed = 0, kind = 0, at = 0, seen = 0;

void faults_arm(int new_kind, int point) { kind = new_kind; at = point; seen = 0; armed = 1; }
int faults_seen(void) { armed = 0; return seen; }

/* Whether the call fails for want of room. */
static int point(int needs_room) {
    if (!armed) return 0;
    seen++;
    if (kind == -1 && needs_room && seen >= at) { errno = ENOSPC; return 1; }
    if (kind > 0 && seen == at) raise(kind);
    return 0;
}

static int is_file(int fd) {
    struct stat found;
    return fd > 2 && fstat(fd, &found) == 0 && S_ISREG(found.st_mode);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define ON_FILE(type, name, parameters, arguments, room) \
    type name parameters { if (is_file(fd) && point(room)) return -1; return REAL(name) arguments; }
#define ON_PATH(name, parameters, arguments, room) \
    int name parameters { if (point(room)) return -1; return REAL(name) arguments; }

ON_FILE(ssize_t, write, (int fd, const void *from, size_t size), (fd, from, size), 1)
ON_FILE(ssize_t, pwrite, (int fd, const void *from, size_t size, off_t where), (fd, from, size, where), 1)
ON_FILE(ssize_t, pwrite64, (int fd, const void *from, size_t size, off64_t where), (fd, from, size, where), 1)
ON_FILE(int, fsync, (int fd), (fd), 0)
ON_FILE(int, fdatasync, (int fd), (fd), 0)
ON_FILE(int, ftruncate, (int fd, off_t size), (fd, size), 0)
ON_FILE(int, ftruncate64, (int fd, off64_t size), (fd, size), 0)
ON_PATH(rename, (const char *from, const char *to), (from, to), 1)
ON_PATH(link, (const char *from, const char *to), (from, to), 1)
ON_PATH(unlink, (const char *path), (path), 0)
ON_PATH(unlinkat, (int folder, const char *path, int flags), (folder, path, flags), 0)
ON_PATH(mkdir, (const char *path, mode_t mode), (path, mode), 1)
ON_PATH(rmdir, (const char *path), (path), 0)

#define ON_OPEN(name) \
    int name(const char *path, int flags, ...) { \
        mode_t mode = 0; \
        if (flags & O_CREAT) { \
            va_list more; va_start(more, flags); mode = va_arg(more, mode_t); va_end(more); \
            if (access(path, F_OK) != 0 && point(1)) return -1; \
        } \
        return REAL(name)(path, flags, mode); \
    }

ON_OPEN(open)
ON_OPEN(open64)
