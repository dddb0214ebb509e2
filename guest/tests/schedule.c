// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// Turns go round, and the same program takes the same turns every time.
#include "check.h"

enum { THREADS = 3, TURNS = 4 };

static char turns_taken[1 << 12];
static size_t turn_count;

static void take_turn(char letter)
{
    CHECK(turn_count < sizeof turns_taken - 1);
    turns_taken[turn_count++] = letter;
    turns_taken[turn_count] = '\0';
}

static void forget_turns(void)
{
    turn_count = 0;
    turns_taken[0] = '\0';
}

static void *take_turns(void *letter)
{
    for (int i = 0; i < TURNS; i++) {
        take_turn(*(const char *)letter);
        sched_yield();
    }
    return NULL;
}

static char letters[] = "abc";

static void round_robin(void)
{
    pthread_t threads[THREADS];
    forget_turns();
    for (int i = 0; i < THREADS; i++)
        threads[i] = start(take_turns, &letters[i]);
    for (int i = 0; i < THREADS; i++)
        join(threads[i]);
    CHECK_TEXT(turns_taken, "abcabcabcabc");
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static unsigned stock;

// Everything that can make a thread wait, in an order that only the schedule decides.
static void *trade(void *letter)
{
    for (int i = 0; i < 10 * TURNS; i++) {
        pthread_mutex_lock(&mutex);
        if ((stock + (unsigned)i) % 3 == 0)
            sched_yield();
        while (stock == 0 && *(const char *)letter == 'a')
            pthread_cond_wait(&condition, &mutex);
        take_turn(*(const char *)letter);
        stock = *(const char *)letter == 'a' ? stock - 1 : stock + 1;
        pthread_cond_signal(&condition);
        pthread_mutex_unlock(&mutex);
    }
    return NULL;
}

static void trade_all(void)
{
    pthread_t threads[THREADS];
    forget_turns();
    stock = 0;
    for (int i = 0; i < THREADS; i++)
        threads[i] = start(trade, &letters[i]);
    for (int i = 0; i < THREADS; i++)
        join(threads[i]);
}

static void repetition(void)
{
    trade_all();
    char first[sizeof turns_taken];
    memcpy(first, turns_taken, sizeof first);
    // Memory and thread numbers differ the second time.
    void *const in_the_way = malloc(1 << 20);
    CHECK(in_the_way != NULL);
    trade_all();
    free(in_the_way);
    CHECK_TEXT(turns_taken, first);
    CHECK_EQUAL(turn_count, THREADS * 10 * TURNS);
}

static int program(int argc, char **argv)
{
    (void)argc, (void)argv;
    round_robin();
    repetition();
    return 0;
}

int main(int argc, char **argv)
{
    return afmpeg_threads_main(program, argc, argv);
}
