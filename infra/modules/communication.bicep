@description('The name of the Communication Services resource.')
param name string

@description('Tags of the resource.')
param tags object

@description('Where its data lies.')
param dataLocation string

@description('The e-mail domains that it may send from.')
param linkedDomainIds array

resource service 'Microsoft.Communication/communicationServices@2025-09-01' = {
  name: name
  location: 'global'
  tags: tags
  properties: {
    dataLocation: dataLocation
    linkedDomains: linkedDomainIds
    disableLocalAuth: true
  }
}

output id string = service.id
