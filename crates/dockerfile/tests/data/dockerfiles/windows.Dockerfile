# escape=`
FROM mcr.example/windows/servercore
SHELL ["powershell", "-Command"]
RUN New-Item `
    -Path C:\app `
    -ItemType Directory
WORKDIR C:\app
COPY . .
ENTRYPOINT ["app.exe"]
