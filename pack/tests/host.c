// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// Runs packs: `host PACK [STOP_AFTER_MICROSECONDS [TIMES]]`, or `host PACK calls NUMBER...` for those that ask which of their
// functions they should call. Prints how each run ended, its exit code where it has one, and the pages of its memory. Shows
// what a runtime has to do, too.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "../pack.h"

enum { PAGE_BYTES = 65536, STACK_BYTES = 1 << 20, GUARD_BYTES = 65536, ROOM_FOR_HOST_BYTES = 128 << 10 };
static const uint64_t RESERVED_BYTES = (8ULL << 30) + PAGE_BYTES;

static const struct afmpeg_pack *pack;
static struct afmpeg_pack_host host;
static void *instance;
static uint8_t *stack; // with its guard below
static int exit_code;
static atomic_int must_stop, is_over;
static char **calls; // that are still to be made

static void fail(const char *what)
{
    fprintf(stderr, "host: %s\n", what);
    exit(99);
}

static void go_to_leave(ucontext_t *context, uint32_t ending)
{
    uintptr_t top = ((uintptr_t)host.stack_limit - 256) & ~(uintptr_t)15;
#if defined(__x86_64__)
    greg_t *registers = context->uc_mcontext.gregs;
    registers[REG_RIP] = (greg_t)pack->leave;
    registers[REG_RDI] = (greg_t)instance;
    registers[REG_RSI] = ending;
    registers[REG_RSP] = (greg_t)(top - 8);
#elif defined(__aarch64__)
    context->uc_mcontext.pc = (uintptr_t)pack->leave;
    context->uc_mcontext.regs[0] = (uintptr_t)instance;
    context->uc_mcontext.regs[1] = ending;
    context->uc_mcontext.sp = top;
#endif
}

static const uint8_t *program_counter(const ucontext_t *context)
{
#if defined(__x86_64__)
    return (const uint8_t *)context->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
    return (const uint8_t *)context->uc_mcontext.pc;
#endif
}

static void on_signal(int signal, siginfo_t *info, void *of_thread)
{
    ucontext_t *context = of_thread;
    const uint8_t *at = program_counter(context);
    int is_in_code = at >= pack->code_begin && at < pack->code_end;
    if (signal == SIGUSR1) {
        if (is_in_code)
            go_to_leave(context, AFMPEG_ENDED_BY_HOST);
        return;
    }
    uint8_t *address = info->si_addr;
    if (is_in_code && address >= host.memory && address < host.memory + RESERVED_BYTES)
        go_to_leave(context, AFMPEG_TRAP_MEMORY);
    else if (is_in_code && address >= stack && address < stack + GUARD_BYTES)
        go_to_leave(context, AFMPEG_TRAP_STACK);
    else {
        static const char message[] = "host: a fault that is none of the program's\n";
        (void)!write(2, message, sizeof message - 1);
        _exit(98);
    }
}

static uint64_t call(void *context, uint32_t import, const uint64_t *arguments, uint32_t *ends)
{
    (void)context;
    const struct afmpeg_pack_import *called = &pack->imports[import];
    uint8_t room[64 << 10]; // that the stack has for the host
    memset(room, (int)import, sizeof room);
    __asm__ volatile("" : : "r"(room) : "memory");
    if (must_stop) {
        *ends = 1;
        return 0;
    }
    if (!strcmp(called->module, "afmpeg") && !strcmp(called->name, "check")) {
        static const uint64_t expected[] = {0xfffffffe, (uint64_t)-3, 0x3fc00000, 0x4004000000000000};
        if (memcmp(arguments, expected, sizeof expected) || strcmp(called->type.parameters, "iIfd") ||
            strcmp(called->type.results, "d"))
            fail("other arguments");
        return 0x3fe0000000000000;
    }
    if (!strcmp(called->module, "afmpeg") && !strcmp(called->name, "next"))
        return calls && *calls ? (uint32_t)atol(*calls++) : UINT32_MAX;
    if (!strcmp(called->module, "afmpeg") && !strcmp(called->name, "failed")) {
        printf("failed %u\n", (uint32_t)arguments[0]);
        return 0;
    }
    if (!strcmp(called->module, "spectest"))
        return 0;
    if (strcmp(called->module, "wasi_snapshot_preview1"))
        fail("an unknown import");
    if (!strcmp(called->name, "fd_write")) {
        uint32_t vector[2], written;
        memcpy(vector, host.memory + (uint32_t)arguments[1], sizeof vector);
        written = (uint32_t)write((int)arguments[0], host.memory + vector[0], vector[1]);
        memcpy(host.memory + (uint32_t)arguments[3], &written, sizeof written);
        return 0;
    }
    if (!strcmp(called->name, "proc_exit")) {
        exit_code = (int)(uint32_t)arguments[0];
        *ends = 1;
        return 0;
    }
    if (!strcmp(called->name, "sched_yield"))
        return 33;
    fail("an unknown import");
    return 0;
}

static uint32_t must_end(void *context)
{
    (void)context;
    return (uint32_t)must_stop;
}

static uint32_t grow(void *context, uint64_t pages, uint64_t more_pages)
{
    (void)context;
    if (more_pages > host.memory_max_pages || pages + more_pages > host.memory_max_pages)
        return 0;
    return !mprotect(host.memory + pages * PAGE_BYTES, more_pages * PAGE_BYTES, PROT_READ | PROT_WRITE);
}

static void *allocate(void *context, uint64_t size_bytes)
{
    if (size_bytes > 16 << 20)
        return NULL;
    ++*(int *)context;
    return calloc(1, size_bytes);
}

static void release(void *context, void *memory, uint64_t size_bytes)
{
    (void)size_bytes;
    --*(int *)context;
    free(memory);
}

static void *run(void *result)
{
    static uint8_t for_signals[1 << 16];
    stack_t signals = {.ss_sp = for_signals, .ss_size = sizeof for_signals};
    if (sigaltstack(&signals, NULL))
        fail("no stack for signals");
    *(uint32_t *)result = pack->run(instance, &host);
    is_over = 1;
    return NULL;
}

static uint32_t run_once(long stop_after_microseconds)
{
    int blocks = 0;
    uint32_t ending = 99;
    host = (struct afmpeg_pack_host){
        .context = &blocks,
        .call = call,
        .must_end = must_end,
        .grow = grow,
        .allocate = allocate,
        .release = release,
        .memory = mmap(NULL, RESERVED_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0),
        .memory_max_pages = pack->memory_max_pages,
    };
    stack = mmap(NULL, GUARD_BYTES + STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (host.memory == MAP_FAILED || stack == MAP_FAILED || mprotect(stack, GUARD_BYTES, PROT_NONE))
        fail("no memory");
    host.stack_limit = stack + GUARD_BYTES + ROOM_FOR_HOST_BYTES;
    instance = aligned_alloc(64, (pack->instance_size_bytes + 63) & ~63ULL);
    memset(instance, 0, pack->instance_size_bytes);
    exit_code = -1;
    must_stop = is_over = 0;
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    pthread_attr_setstack(&attributes, stack + GUARD_BYTES, STACK_BYTES);
    if (pthread_create(&thread, &attributes, run, &ending))
        fail("no thread");
    if (stop_after_microseconds >= 0) {
        struct timespec pause = {stop_after_microseconds / 1000000, stop_after_microseconds % 1000000 * 1000};
        nanosleep(&pause, NULL);
        must_stop = 1;
        while (!is_over) {
            pthread_kill(thread, SIGUSR1);
            nanosleep(&(struct timespec){0, 200000}, NULL);
        }
    }
    pthread_join(thread, NULL);
    printf("ending %u, exit %d, pages %llu\n", ending, exit_code, (unsigned long long)pack->pages(instance));
    pack->release(instance);
    if (blocks)
        fail("a block was not released");
    free(instance);
    munmap(stack, GUARD_BYTES + STACK_BYTES);
    munmap(host.memory, RESERVED_BYTES);
    return ending;
}

int main(int count, char **arguments)
{
    if (count < 2)
        fail("which pack?");
    void *object = dlopen(arguments[1], RTLD_NOW | RTLD_LOCAL);
    pack = object ? dlsym(object, "afmpeg_pack") : NULL;
    if (!pack)
        fail(dlerror());
    if (pack->abi != AFMPEG_PACK_ABI || pack->size_bytes != sizeof *pack)
        fail("another interface");
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (count > 2 && !strcmp(arguments[2], "calls")) {
        calls = arguments + 3;
        run_once(-1);
        return 0;
    }
    long stop_after = count > 2 ? atol(arguments[2]) : -1;
    int times = count > 3 ? atoi(arguments[3]) : 1;
    for (int i = 0; i < times; i++)
        run_once(stop_after < 0 || times == 1 ? stop_after : random() % (stop_after + 1));
    return 0;
}
