package com.example;

/** Greets everybody who is named. */
public final class Greet {
    private Greet() {}

    public static void main(String[] names) {
        for (String name : names) {
            System.out.printf("Hello, %s, from Java on %s%n", name, System.getProperty("os.name"));
        }
    }
}
