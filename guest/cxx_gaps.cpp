// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// What the C++ runtime of the SDK lacks, or does as threads would need it.
//
// Exceptions above all: WebAssembly unwinds a stack by its own alone, which not all engines have in one form, so the runtime has
// none, and blocks that catch are never reached: here an exception ends the process, with its type and its message. What damaged
// media or a user's options can reach must not go that way: patches mend it.
// Part of the library libwasi_gaps.a, which the linker reads before the C++ library. FFmpeg's configure has it the other way round,
// so what the C++ library defines as well is weak here.
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <mutex>
#include <typeinfo>

namespace {

// How the Itanium C++ ABI, which every compiler for WebAssembly follows, lays out what describes a class.
struct OneBase {  // __cxxabiv1::__si_class_type_info
    void *table;
    const char *name;
    const std::type_info *base;
};

struct ManyBases {  // __cxxabiv1::__vmi_class_type_info
    void *table;
    const char *name;
    unsigned flags;
    unsigned count;
    struct {
        const std::type_info *type;
        long offset_and_flags;
    } bases[];
};

bool is_kind(const std::type_info &type, const char *kind)
{
    return std::strstr(typeid(type).name(), kind) != nullptr;
}

// The std::exception that an object is, publicly or not. Null where it is none, or has bases that are found at run time only.
const std::exception *as_exception(const std::type_info &type, const char *object)
{
    constexpr long virtual_flag = 1, offset_shift = 8;

    if (type == typeid(std::exception))
        return reinterpret_cast<const std::exception *>(object);
    if (is_kind(type, "__si_class_type_info"))
        return as_exception(*reinterpret_cast<const OneBase &>(type).base, object);
    if (is_kind(type, "__vmi_class_type_info")) {
        const auto &many = reinterpret_cast<const ManyBases &>(type);
        for (unsigned i = 0; i < many.count; i++) {
            const long at = many.bases[i].offset_and_flags;
            if (at & virtual_flag)
                continue;
            if (const auto *found = as_exception(*many.bases[i].type, object + (at >> offset_shift)))
                return found;
        }
    }
    return nullptr;
}

// N4zimg5error11OutOfMemoryE as zimg::error::OutOfMemory. The runtime's own function for it is larger than many a library.
void print_name(const char *mangled)
{
    const char *at = mangled, *separator = "";
    char text[256] = "";

    if (*at == 'N')
        at++;
    if (std::strncmp(at, "St", 2) == 0) {
        std::strcpy(text, "std");
        separator = "::";
        at += 2;
    }
    while (*at >= '1' && *at <= '9') {
        char *name;
        const unsigned long length = std::strtoul(at, &name, 10), used = std::strlen(text);
        if (length > std::strlen(name) || used + length + sizeof "::" > sizeof text)
            break;
        std::snprintf(text + used, sizeof text - used, "%s%.*s", separator, static_cast<int>(length), name);
        separator = "::";
        at = name + length;
    }
    const bool is_whole = *at == '\0' || std::strcmp(at, "E") == 0;
    std::fputs(is_whole ? text : mangled, stderr);
}

[[noreturn]] void end(void)
{
    std::fputs(" (an exception of C++, which cannot be caught here)\n", stderr);
    std::_Exit(EXIT_FAILURE);
}

[[noreturn]] void end_with(const char *format, std::va_list arguments)
{
    std::vfprintf(stderr, format, arguments);
    end();
}

}  // namespace

// As the compiler calls them.
extern "C" {

void *__cxa_allocate_exception(std::size_t size) noexcept
{
    if (void *object = std::malloc(size))
        return object;
    std::fputs("no memory for an exception", stderr);
    end();
}

void __cxa_free_exception(void *object) noexcept
{
    std::free(object);
}

[[noreturn]] void __cxa_throw(void *object, std::type_info *type, void *(*)(void *))
{
    if (*type == typeid(const char *)) {
        std::fputs(*static_cast<const char **>(object), stderr);
        end();
    }
    print_name(type->name());
    if (const std::exception *exception = as_exception(*type, static_cast<const char *>(object)))
        std::fprintf(stderr, ": %s", exception->what());
    end();
}

[[noreturn]] void __cxa_rethrow(void)
{
    std::fputs("nothing is there to be thrown again", stderr);
    end();
}

// Destructors of thread_local objects would run when their thread ends. The guest's threads share such objects.
int __cxa_thread_atexit(void (*)(void *), void *, void *) noexcept
{
    return 0;
}

}  // extern "C"

// What the C++ library, which is compiled without exceptions, calls where it would throw.
[[noreturn, gnu::weak]] void std::__libcpp_verbose_abort(const char *format, ...) noexcept
{
    std::va_list arguments;
    va_start(arguments, format);
    end_with(format, arguments);
}

// Likewise its runtime: for want of memory, above all.
extern "C" [[noreturn, gnu::weak]] void __abort_message(const char *format, ...)
{
    std::va_list arguments;
    va_start(arguments, format);
    end_with(format, arguments);
}

// What is done once: statics of a function, and what streams prepare of a language. The runtime's own waits for a thread that is at
// it, and what may wait cannot be called through pointers; but nothing in C++ can suspend a thread.
extern "C" {

// The first byte says that it is done; the compiler's code looks at it, too.
[[gnu::weak]] int __cxa_guard_acquire(unsigned char *guard)
{
    return *guard == 0;
}

[[gnu::weak]] void __cxa_guard_release(unsigned char *guard)
{
    *guard = 1;
}

[[gnu::weak]] void __cxa_guard_abort(unsigned char *)
{
}

}  // extern "C"

[[gnu::weak]] void std::__call_once(volatile std::once_flag::_State_type &flag, void *argument, void (*function)(void *))
{
    constexpr std::once_flag::_State_type unset = 0, pending = 1, complete = ~std::once_flag::_State_type{0};

    if (flag != unset)
        return;
    flag = pending;
    function(argument);
    flag = complete;
}
