// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// Producers and consumers over bounded queues in a row, as FFmpeg's demuxers, decoders, filters and muxers are.
#include "check.h"

enum { STAGES = 4, THREADS_PER_STAGE = 6, ITEMS_PER_PRODUCER = 500, CAPACITY = 3, END = 0 };

static struct queue {
    pthread_mutex_t lock;
    pthread_cond_t changed; // one for both ends, woken by broadcast: FFmpeg's way
    int items[CAPACITY];
    int first, count;
} queues[STAGES];

static void put(struct queue *queue, int item)
{
    pthread_mutex_lock(&queue->lock);
    while (queue->count == CAPACITY)
        pthread_cond_wait(&queue->changed, &queue->lock);
    queue->items[(queue->first + queue->count++) % CAPACITY] = item;
    pthread_cond_broadcast(&queue->changed);
    pthread_mutex_unlock(&queue->lock);
}

static int take(struct queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    while (queue->count == 0)
        pthread_cond_wait(&queue->changed, &queue->lock);
    const int item = queue->items[queue->first];
    queue->first = (queue->first + 1) % CAPACITY;
    queue->count--;
    pthread_cond_broadcast(&queue->changed);
    pthread_mutex_unlock(&queue->lock);
    return item;
}

static void *produce(void *first_queue)
{
    for (int i = 1; i <= ITEMS_PER_PRODUCER; i++)
        put(first_queue, i);
    put(first_queue, END);
    return NULL;
}

static void *pass_on(void *queue)
{
    int item;
    do {
        item = take(queue);
        put((struct queue *)queue + 1, item);
    } while (item != END);
    return NULL;
}

static void *consume(void *last_queue)
{
    intptr_t sum = 0;
    for (int item; (item = take(last_queue)) != END;)
        sum += item;
    return (void *)sum;
}

static int program(int argc, char **argv)
{
    (void)argc, (void)argv;
    for (int stage = 0; stage < STAGES; stage++) {
        pthread_mutex_init(&queues[stage].lock, NULL);
        pthread_cond_init(&queues[stage].changed, NULL);
    }
    pthread_t producers[THREADS_PER_STAGE], between[STAGES - 1][THREADS_PER_STAGE], consumers[THREADS_PER_STAGE];
    for (int i = 0; i < THREADS_PER_STAGE; i++) {
        consumers[i] = start(consume, &queues[STAGES - 1]);
        for (int stage = 0; stage < STAGES - 1; stage++)
            between[stage][i] = start(pass_on, &queues[stage]);
        producers[i] = start(produce, &queues[0]);
    }
    intptr_t sum = 0;
    for (int i = 0; i < THREADS_PER_STAGE; i++) {
        join(producers[i]);
        for (int stage = 0; stage < STAGES - 1; stage++)
            join(between[stage][i]);
        sum += (intptr_t)join(consumers[i]);
    }
    CHECK_EQUAL(sum, THREADS_PER_STAGE * (ITEMS_PER_PRODUCER * (ITEMS_PER_PRODUCER + 1) / 2));
    for (int stage = 0; stage < STAGES; stage++) {
        CHECK_EQUAL(queues[stage].count, 0);
        CHECK_EQUAL(pthread_cond_destroy(&queues[stage].changed), 0);
        CHECK_EQUAL(pthread_mutex_destroy(&queues[stage].lock), 0);
    }
    return 0;
}

int main(int argc, char **argv)
{
    return afmpeg_threads_main(program, argc, argv);
}
