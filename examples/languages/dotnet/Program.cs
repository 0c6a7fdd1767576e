using System;

public static class Program
{
    public static void Main(string[] names)
    {
        foreach (var name in names)
        {
            Console.WriteLine($"Hello, {name}, from .NET on {Environment.OSVersion.Platform}");
        }
    }
}
